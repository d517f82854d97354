// Package pki makes the gateway's certificates and judges those that it is
// given. It keeps a local certification authority for a gateway that has no
// certificate of a public one, loads certificates and keys from files as people
// have them, puts their chain in order, and says which clients will refuse a
// certificate and what their users will see.
package pki
