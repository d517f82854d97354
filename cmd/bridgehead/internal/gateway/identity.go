package gateway

import (
	"crypto/rand"
	"crypto/rsa"
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

// checkIdentities judges certificates and keys as the known clients will. The
// kind of a key is no fault where a certificate that every client takes stands
// beside it.
func checkIdentities(c *config.Config) []config.Problem {
	var (
		problems []config.Problem
		found    = make([][]pki.Warning, len(c.Server.Certificates))
		withRSA  bool
	)
	for i := range c.Server.Certificates {
		id, warnings, err := pki.Load(identityFiles(c, i), c.Server.Name, time.Now())
		if err != nil {
			problems = append(problems, identityProblem(c, i, err))
			continue
		}
		_, isRSA := id.Key.Public().(*rsa.PublicKey)
		withRSA = withRSA || isRSA
		found[i] = warnings
	}
	for i, warnings := range found {
		for _, w := range warnings {
			if withRSA && (w.Fault == pki.NotRSA || w.Fault == pki.UnusualKey) {
				continue
			}
			symptoms := make([]config.Symptom, len(w.Symptoms))
			for j, s := range w.Symptoms {
				symptoms[j] = config.Symptom(s)
			}
			problems = append(problems, c.Warn("server.certificate", i, "server.certificate: "+w.Text, w.Remedy).As(config.Cause(w.Fault), symptoms...))
		}
	}
	return problems
}

// SentChain is a certificate as clients get it.
type SentChain struct {
	File      string   `json:"file"`           // as server.certificate names it
	Key       string   `json:"key"`            // its kind, such as "RSA 2048 bits"
	Ends      string   `json:"ends"`           // the day of the leaf's end, UTC
	Chain     []string `json:"chain"`          // subjects, the leaf first
	Root      string   `json:"root,omitempty"` // that of the root at hand, which is never sent
	Reordered bool     `json:"reordered"`      // the file has another order
}

// SentChains tells what a configuration that was loaded has clients get.
func SentChains(c *config.Config) ([]SentChain, error) {
	list := make([]SentChain, 0, len(c.Server.Certificates))
	for i, file := range c.Server.Certificates {
		id, _, err := pki.Load(identityFiles(c, i), c.Server.Name, time.Now())
		if err != nil {
			return nil, err
		}
		sent := SentChain{File: file, Key: id.Kind(), Ends: id.Chain[0].NotAfter.UTC().Format(time.DateOnly), Chain: id.Subjects(), Reordered: id.Reordered}
		if id.Root != nil && !id.Root.Equal(id.Chain[0]) {
			sent.Root = id.Root.Subject.String()
		}
		list = append(list, sent)
	}
	return list, nil
}

// identityProblem puts an error of a certificate to the setting at fault.
func identityProblem(c *config.Config, i int, err error) config.Problem {
	var (
		file     *pki.FileError
		mismatch *pki.MismatchError
	)
	switch {
	case errors.As(err, &mismatch):
		return c.At("server.key", i, "server.key: "+mismatch.Error(), "expected the key of the certificate").As(config.CauseKeyMismatch)
	case errors.As(err, &file):
		text := file.Path + ": " + file.Problem
		if file.Err != nil {
			text += ": " + file.Err.Error()
		}
		switch file.Path {
		case c.Server.Certificates[i]:
			return c.At("server.certificate", i, "server.certificate: "+text, file.Remedy).As(config.CauseUnreadable)
		case c.Server.Keys[i]:
			return c.At("server.key", i, "server.key: "+text, file.Remedy).As(config.CauseUnreadable)
		}
		return c.At("server.chain", slices.Index(c.Server.Chain, file.Path), "server.chain: "+text, file.Remedy).As(config.CauseUnreadable)
	}
	return c.At("server.certificate", i, "server.certificate: "+err.Error(), "")
}

// makeAuthority makes, or finds in dir, a local authority and a certificate
// for names, and gives the file that clients must trust.
func makeAuthority(dir string, names []string) (*pki.Issued, error) {
	return pki.Store{Dir: dir, Random: rand.Reader}.Ensure(names, time.Now())
}
