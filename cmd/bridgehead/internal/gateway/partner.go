package gateway

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/config"
)

// partnerFiles reads what the gateway shares with another host that speaks
// RADIUS: secrets and certificates.
type partnerFiles struct {
	config   *config.Config
	setting  func(key string) string // the path of a setting
	digest   io.Writer               // hears of all that was read
	problems []config.Problem
}

// fault notes what keeps the partner from being used.
func (r *partnerFiles) fault(key, text, hint string) {
	setting := r.setting(key)
	r.problems = append(r.problems, r.config.At(setting, -1, setting+": "+text, hint))
}

// warn notes what works, but not well.
func (r *partnerFiles) warn(key, text, hint string) {
	setting := r.setting(key)
	r.problems = append(r.problems, r.config.Warn(setting, -1, setting+": "+text, hint))
}

// Bounds of what is shared with a server, octets.
const (
	mostSecret  = 4096
	shortSecret = 16 // RFC 2865 §3
)

// secret reads what is shared with the partner: every octet of the file counts
// but one line feed at its end.
func (r *partnerFiles) secret(path string) auth.Secret {
	if name, ok := strings.CutPrefix(path, config.CredentialPrefix); ok {
		folder := os.Getenv("CREDENTIALS_DIRECTORY")
		if folder == "" {
			r.fault("secret_file", "systemd handed no credentials to this process", "expected LoadCredential="+name+":FILE in the unit; to try it by hand: systemd-run -t -p LoadCredential="+name+":FILE bridgehead check")
			r.problems[len(r.problems)-1].Cause = config.CauseNoCredentials
			return nil
		}
		path = filepath.Join(folder, name)
	}
	secret, err := readAtMost(path, mostSecret)
	if err != nil {
		r.fault("secret_file", err.Error(), "expected a file with what the other side shares with this gateway")
		return nil
	}
	secret = bytes.TrimSuffix(secret, []byte("\n"))
	fmt.Fprintln(r.digest, len(secret), sha256.Sum256(secret))
	const better = "expected 16 random octets or more; make them with: openssl rand -base64 24"
	switch n := len(secret); {
	case n == 0:
		r.fault("secret_file", path+" holds no secret", better)
	case string(secret) == "testing123":
		r.warn("secret_file", "the secret is the one of the examples, which everybody knows", better)
	case n < shortSecret:
		r.warn("secret_file", fmt.Sprintf("the secret has %d octets: whoever sees packets can guess it", n), better)
	}
	return secret
}

// authority reads who may sign the partner's certificate; nil: nobody.
func (r *partnerFiles) authority(key, path string) *x509.CertPool {
	const expected = "expected a PEM file with who may sign the other side's certificate"
	text, err := readAtMost(path, 1<<20)
	if err != nil {
		r.fault(key, err.Error(), expected)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		r.fault(key, path+" holds no certificate", expected)
	}
	fmt.Fprintln(r.digest, sha256.Sum256(text))
	return pool
}

// certificate reads the gateway's own certificate for the partner.
func (r *partnerFiles) certificate(setting, path, key string) (tls.Certificate, bool) {
	pair, err := tls.LoadX509KeyPair(path, key)
	if err != nil {
		r.fault(setting, err.Error(), "expected PEM files with the gateway's certificate and its key")
		return pair, false
	}
	for _, der := range pair.Certificate {
		fmt.Fprintln(r.digest, sha256.Sum256(der))
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		r.warn(setting, fmt.Sprintf("the gateway's certificate is good from %s to %s", pair.Leaf.NotBefore.Format(time.DateOnly), pair.Leaf.NotAfter.Format(time.DateOnly)), "the other side refuses it; renew it")
	}
	return pair, true
}

// readAtMost reads a file that is not larger than expected.
func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // opened for reading alone
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is larger than %d octets", path, most)
	}
	return b, err
}
