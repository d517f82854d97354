package pki

import "fmt"

// FileError reports a file that cannot be used. Its text ends in what to do.
type FileError struct {
	Path    string
	Problem string
	Remedy  string // may be empty
	Err     error  // the cause; may be nil
}

// Error names the file, the problem and the remedy.
func (e *FileError) Error() string {
	s := e.Path + ": " + e.Problem
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// MismatchError reports a private key that belongs to none of the certificates
// it was given with.
type MismatchError struct {
	CertificatePath, KeyPath string
	Certificate              string // subject and kind of key of the first certificate
	Key                      string // kind of key
}

// Error names both files, what they hold, and how to compare them.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s (%s) does not belong to the key in %s (%s); "+
		"compare: openssl x509 -noout -pubkey -in %s, and: openssl pkey -pubout -in %s",
		e.CertificatePath, e.Certificate, e.KeyPath, e.Key, e.CertificatePath, e.KeyPath)
}

// NameError reports a name that no certificate can carry for this purpose.
type NameError struct{ Name, Problem string }

// Error names the name and the problem.
func (e *NameError) Error() string {
	return fmt.Sprintf("server name %q: %s; give a host name such as vpn.example.org, or an IP address", e.Name, e.Problem)
}
