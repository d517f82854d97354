package exchange

// VendorID is what this program's client says of itself (RFC 7296 §3.12).
var VendorID = []byte("bridgehead")
