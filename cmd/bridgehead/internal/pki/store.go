package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Files of a Store.
const (
	authorityCertFile = "ca.pem"
	authorityKeyFile  = "ca.key"
	serverCertFile    = "server.pem"
	serverKeyFile     = "server.key"
)

// Store is a folder with a local authority and a server's certificate, PEM.
type Store struct {
	Dir    string    // made with mode 0700 where it is missing
	Random io.Reader // for keys and serial numbers
}

// Issued is what a Store holds.
type Issued struct {
	Authority *x509.Certificate
	Server    *x509.Certificate
	Key       crypto.Signer // the server's

	// Paths of the PEM files. Clients must import AuthorityPath.
	AuthorityPath, CertificatePath, KeyPath string

	NewAuthority bool // made just now: clients must import it
	NewServer    bool // made just now
}

// Ensure gives a server certificate for what clients may type, host names and
// IP addresses, the first being the common name. What is in the folder is used
// again while it is valid and carries exactly these names, else it is renewed
// under the same authority. An authority that has ended is replaced.
func (s Store) Ensure(names []string, now time.Time) (*Issued, error) {
	wanted, err := normalize(names)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, &FileError{Path: s.Dir, Problem: "cannot make the folder for certificates", Remedy: "choose another one, or run as root", Err: err}
	}
	issued := &Issued{
		AuthorityPath: s.path(authorityCertFile), CertificatePath: s.path(serverCertFile), KeyPath: s.path(serverKeyFile),
	}
	ca, err := s.authority(issued, wanted[0], now)
	if err != nil {
		return nil, err
	}
	server, err := s.server(issued, ca, wanted, now)
	if err != nil {
		return nil, err
	}
	issued.Authority, issued.Server, issued.Key = ca.cert, server.cert, server.key
	return issued, nil
}

func normalize(names []string) ([]string, error) {
	var wanted []string
	for _, s := range names {
		name, _, err := parseName(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	if len(wanted) == 0 {
		return nil, &NameError{"", "a certificate needs at least one"}
	}
	return wanted, nil
}

func (s Store) path(file string) string { return filepath.Join(s.Dir, file) }

// authority reads the authority or, where there is none or it has ended, makes
// one. A certificate without a fitting key is an error: clients trust it, so it
// is not replaced in silence.
func (s Store) authority(issued *Issued, name string, now time.Time) (*certified, error) {
	ca, err := s.read(authorityCertFile, authorityKeyFile)
	switch {
	case err == nil && now.Add(renewBefore).Before(ca.cert.NotAfter):
		return ca, nil
	case err != nil && !errors.Is(err, errNoCertificate):
		return nil, &FileError{
			Path: s.path(authorityCertFile), Problem: "cannot use the local authority", Err: err,
			Remedy: "put back its two files, " + authorityCertFile + " and " + authorityKeyFile +
				", or delete both for a new one, which every client must import again",
		}
	}
	issued.NewAuthority = true
	if ca, err = newAuthority(name, now, s.Random); err != nil {
		return nil, err
	}
	return ca, s.write(ca.key, []*x509.Certificate{ca.cert}, authorityCertFile, authorityKeyFile)
}

// server reads the server's certificate or makes one. Nobody trusts it for
// itself, so one that does not fit any more is replaced.
func (s Store) server(issued *Issued, ca *certified, names []string, now time.Time) (*certified, error) {
	server, err := s.read(serverCertFile, serverKeyFile)
	if err == nil && fits(server.cert, ca.cert, names, now) {
		return server, nil
	}
	issued.NewServer = true
	if server, err = newServer(ca, names, now, s.Random); err != nil {
		return nil, err
	}
	return server, s.write(server.key, []*x509.Certificate{server.cert, ca.cert}, serverCertFile, serverKeyFile)
}

func fits(cert, ca *x509.Certificate, names []string, now time.Time) bool {
	return slices.Equal(cert.DNSNames, names) && cert.CheckSignatureFrom(ca) == nil &&
		!now.Before(cert.NotBefore) && now.Add(renewBefore).Before(cert.NotAfter)
}

// errNoCertificate tells that there is no certificate file; a key alone was
// never in use, because it is written first.
var errNoCertificate = errors.New("there is no certificate")

func (s Store) read(certFile, keyFile string) (*certified, error) {
	certs, err := readCertificates(s.path(certFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoCertificate
	}
	if err != nil {
		return nil, err
	}
	key, err := readKey(s.path(keyFile))
	if err != nil {
		return nil, err
	}
	if !belongs(key, certs[0]) {
		return nil, mismatch(s.path(certFile), s.path(keyFile), certs[0], key)
	}
	return &certified{cert: certs[0], key: key}, nil
}

// write puts the key down first: where there was no certificate, there is none
// without its key.
func (s Store) write(signer crypto.Signer, certs []*x509.Certificate, certFile, keyFile string) error {
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return err
	}
	defer clear(der)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	defer clear(key)
	if err := writeFile(s.path(keyFile), key, 0o600); err != nil {
		return err
	}
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return writeFile(s.path(certFile), text, 0o644)
}

// writeFile replaces a file in one step: after a crash there is the old one or
// the new one, whole.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	fail := func(err error) error {
		return &FileError{Path: path, Problem: "cannot write the file", Err: err}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fail(err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fail(errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
