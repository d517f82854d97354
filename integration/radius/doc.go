// Package radius tests the RADIUS client against Debian's FreeRADIUS on
// loopback, with the EAP methods of wpa_supplicant's eapol_test as the client,
// and with a man in the middle who forges replies.
package radius
