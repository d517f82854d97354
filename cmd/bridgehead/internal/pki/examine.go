package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Fault names what is wrong with a certificate for some clients.
type Fault string

// The faults that examine finds.
const (
	Expired            Fault = "expired"
	Expiring           Fault = "expiring"
	NotYetValid        Fault = "not-yet-valid"
	Authority          Fault = "authority"
	WrongName          Fault = "wrong-name"
	Wildcard           Fault = "wildcard"
	NoAlternativeName  Fault = "no-alternative-name"
	AddressNotAsName   Fault = "address-not-as-name"
	AddressOnlyAsName  Fault = "address-only-as-name"
	NoServerAuth       Fault = "no-server-auth"
	NoDigitalSignature Fault = "no-digital-signature"
	NotRSA             Fault = "not-rsa"
	UnusualKey         Fault = "unusual-key"
	ShortKey           Fault = "short-key"
	WeakSignature      Fault = "weak-signature"
	LongLife           Fault = "long-life"
	IncompleteChain    Fault = "incomplete-chain"
)

// Warning is a fault with its consequence: which clients fail, what their users
// see, and what to do.
type Warning struct {
	Fault    Fault
	Text     string
	Symptoms []Symptom // not empty
	Remedy   string
}

// String is the whole in one line.
func (w Warning) String() string {
	s := w.Text
	for _, symptom := range w.Symptoms {
		s += "; " + symptom.String()
	}
	return s + "; " + w.Remedy
}

const (
	// expirySoon is when a certificate that nobody has renewed becomes news.
	// Public authorities' clients renew a month ahead.
	expirySoon = 21 * day
	// appleMaxLife and appleMinBits are Apple's rules for server certificates.
	appleMaxLife = 825 * day
	appleMinBits = 2048
)

// What to do.
const (
	newCertificate = "get a certificate"
	secondIdentity = "use an RSA certificate, or an RSA one beside it"
	renewNow       = "renew it"
	checkTheClock  = "check this machine's clock, or wait"
	setServerName  = "or set server.name to a name that it has"
)

// examine judges a chain, leaf first, as the known clients will when their
// users type name. root is the chain's root if it is at hand, else nil.
func examine(chain []*x509.Certificate, root *x509.Certificate, name string, now time.Time) []Warning {
	e := &examination{leaf: chain[0], now: now}
	e.validity(chain)
	e.names(name)
	e.usages()
	e.key()
	e.signature()
	e.completeness(chain, root)
	return e.warnings
}

type examination struct {
	leaf     *x509.Certificate
	now      time.Time
	warnings []Warning
}

func (e *examination) warn(f Fault, symptoms []Symptom, remedy, format string, args ...any) {
	e.warnings = append(e.warnings, Warning{Fault: f, Text: fmt.Sprintf(format, args...), Symptoms: symptoms, Remedy: remedy})
}

func (e *examination) validity(chain []*x509.Certificate) {
	for _, c := range chain {
		end := c.NotAfter.UTC().Format(time.DateOnly)
		switch {
		case e.now.After(c.NotAfter):
			e.warn(Expired, everyone, renewNow, "certificate %s ended on %s", subject(c), end)
		case e.now.Add(expirySoon).After(c.NotAfter):
			e.warn(Expiring, everyone, renewNow, "certificate %s ends on %s; from then on clients refuse it", subject(c), end)
		case e.now.Before(c.NotBefore):
			e.warn(NotYetValid, everyone, checkTheClock, "certificate %s begins on %s", subject(c), c.NotBefore.UTC().Format(time.DateTime))
		}
	}
	if life := e.leaf.NotAfter.Sub(e.leaf.NotBefore); life > appleMaxLife {
		e.warn(LongLife, []Symptom{apple}, newCertificate+" for a shorter time",
			"the certificate lasts %d days, and Apple allows 825", life/day)
	}
}

// names compares as the strictest clients do: no wildcards, no common name.
func (e *examination) names(name string) {
	if len(e.leaf.DNSNames) == 0 && len(e.leaf.IPAddresses) == 0 {
		e.warn(NoAlternativeName, []Symptom{apple, android, strongSwanApp}, newCertificate+" that has the name "+name+" as subjectAltName",
			"the certificate has no subjectAltName, and the common name does not count")
		return
	}
	wanted, ip, err := parseName(name)
	if err != nil {
		e.warn(WrongName, everyone, "set server.name", "%v", err)
		return
	}
	asName := slices.ContainsFunc(e.leaf.DNSNames, func(s string) bool { return strings.EqualFold(s, wanted) })
	if !ip.IsValid() {
		e.hostName(wanted, asName)
		return
	}
	asAddress := slices.ContainsFunc(e.leaf.IPAddresses, func(b net.IP) bool { return sameIP(b, ip) })
	switch {
	case !asName && !asAddress:
		e.wrongName(wanted)
	case !asName:
		e.warn(AddressNotAsName, []Symptom{windows, apple}, newCertificate+" with "+wanted+" as dNSName too",
			"the certificate has the address %s as iPAddress only", wanted)
	case !asAddress:
		e.warn(AddressOnlyAsName, []Symptom{android, strongSwanApp}, newCertificate+" with "+wanted+" as iPAddress too",
			"the certificate has the address %s as dNSName only", wanted)
	}
}

func (e *examination) hostName(wanted string, there bool) {
	if there {
		return
	}
	_, domain, _ := strings.Cut(wanted, ".")
	if slices.ContainsFunc(e.leaf.DNSNames, func(s string) bool { return strings.EqualFold(s, "*."+domain) }) {
		e.warn(Wildcard, []Symptom{android, strongSwanApp}, newCertificate+" that has the name itself",
			"the certificate has %s only as *.%s", wanted, domain)
		return
	}
	e.wrongName(wanted)
}

func (e *examination) wrongName(wanted string) {
	names := slices.Clone(e.leaf.DNSNames)
	for _, ip := range e.leaf.IPAddresses {
		names = append(names, ip.String())
	}
	e.warn(WrongName, everyone, newCertificate+" for it, "+setServerName,
		"the certificate is for %s, not for %s", strings.Join(names, ", "), wanted)
}

func (e *examination) usages() {
	c := e.leaf
	if c.IsCA {
		e.warn(Authority, everyone, "use the server's own certificate", "certificate %s is an authority's", subject(c))
	}
	if !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		e.warn(NoServerAuth, []Symptom{windows, apple}, newCertificate+" with extendedKeyUsage serverAuth",
			"the certificate is not meant for servers: it has no extendedKeyUsage serverAuth")
	}
	const forSigning = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment // RFC 4945 §5.1.3.2
	if c.KeyUsage != 0 && c.KeyUsage&forSigning == 0 {
		e.warn(NoDigitalSignature, []Symptom{heedsUsage}, newCertificate+" with keyUsage digitalSignature",
			"the certificate's keyUsage does not allow to sign")
	}
}

func (e *examination) key() {
	kind := kindOf(e.leaf.PublicKey)
	switch key := e.leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < appleMinBits {
			e.warn(ShortKey, []Symptom{apple}, newCertificate+" with a new key", "the certificate's key is %s, and Apple wants 2048", kind)
		}
		return
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			e.warn(NotRSA, []Symptom{appleByHand, android}, secondIdentity, "the certificate's key is %s", kind)
			return
		}
	}
	e.warn(UnusualKey, []Symptom{windows, appleByHand, android}, secondIdentity, "the certificate's key is %s", kind)
}

func (e *examination) signature() {
	switch e.leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		e.warn(WeakSignature, []Symptom{apple, strongSwanApp}, newCertificate+" signed with SHA-256",
			"the certificate is signed with %v", e.leaf.SignatureAlgorithm)
	}
}

// completeness warns where a link between the chain and its root may be missing.
// The root may also be one that only clients have; no file here can tell.
func (e *examination) completeness(chain []*x509.Certificate, root *x509.Certificate) {
	last := chain[len(chain)-1]
	if root != nil || trustedHere(chain, e.now) {
		return
	}
	remedy := "put that certificate beside it (server.chain), unless it is the root that clients have imported"
	if len(last.IssuingCertificateURL) > 0 {
		remedy += "; it is at " + last.IssuingCertificateURL[0]
	}
	e.warn(IncompleteChain, everyone, remedy,
		"no file has the certificate of %q, which issued %s, and clients that do not have it refuse the gateway", last.Issuer.String(), subject(last))
}

// trustedHere tells whether the chain leads to a root that this machine trusts.
func trustedHere(chain []*x509.Certificate, now time.Time) bool {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil
}

func sameIP(b net.IP, ip netip.Addr) bool {
	a, ok := netip.AddrFromSlice(b)
	return ok && a.Unmap() == ip
}
