package gateway

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/pki"
	"bridgehead/ikev2"
)

// identities are the certificates that the gateway proves itself with.
type identities struct{ list []ikev2.Certificate }

// loadIdentities reads the certificates that the configuration names.
func loadIdentities(c *config.Config) (*identities, error) {
	ids := new(identities)
	for i := range c.Server.Certificates {
		id, _, err := pki.Load(identityFiles(c, i), c.Server.Name, time.Now())
		if err != nil {
			return nil, err
		}
		ids.list = append(ids.list, ikev2.Certificate{Chain: id.Chain, Key: id.Key})
	}
	return ids, nil
}

func identityFiles(c *config.Config, i int) pki.Files {
	return pki.Files{Certificate: c.Server.Certificates[i], Key: c.Server.Keys[i], Chain: c.Server.Chain}
}

// equal tells whether the same certificates are sent.
func (a *identities) equal(b *identities) bool {
	return slices.EqualFunc(a.list, b.list, func(x, y ikev2.Certificate) bool {
		return slices.EqualFunc(x.Chain, y.Chain, (*x509.Certificate).Equal)
	})
}

// checkIdentities judges certificates and keys as the known clients will.
func checkIdentities(c *config.Config) []config.Problem {
	var problems []config.Problem
	for i := range c.Server.Certificates {
		_, warnings, err := pki.Load(identityFiles(c, i), c.Server.Name, time.Now())
		if err != nil {
			problems = append(problems, identityProblem(c, i, err))
		}
		for _, w := range warnings {
			problems = append(problems, c.Warn("server.certificate", i, "server.certificate: "+w.Text, w.Clients+"; "+w.Remedy))
		}
	}
	return problems
}

// identityProblem puts an error of a certificate to the setting at fault.
func identityProblem(c *config.Config, i int, err error) config.Problem {
	var (
		file     *pki.FileError
		mismatch *pki.MismatchError
	)
	switch {
	case errors.As(err, &mismatch):
		return c.At("server.key", i, "server.key: "+mismatch.Error(), "expected the key of the certificate")
	case errors.As(err, &file):
		text := file.Path + ": " + file.Problem
		if file.Err != nil {
			text += ": " + file.Err.Error()
		}
		switch file.Path {
		case c.Server.Certificates[i]:
			return c.At("server.certificate", i, "server.certificate: "+text, file.Remedy)
		case c.Server.Keys[i]:
			return c.At("server.key", i, "server.key: "+text, file.Remedy)
		}
		return c.At("server.chain", slices.Index(c.Server.Chain, file.Path), "server.chain: "+text, file.Remedy)
	}
	return c.At("server.certificate", i, "server.certificate: "+err.Error(), "")
}

// makeAuthority makes, or finds in dir, a local authority and a certificate
// for names, and gives the file that clients must trust.
func makeAuthority(dir string, names []string) (*pki.Issued, error) {
	return pki.Store{Dir: dir, Random: rand.Reader}.Ensure(names, time.Now())
}
