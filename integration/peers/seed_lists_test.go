package peers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

// What Windows proposes, word by word as the page has it, in its order: of
// Windows 10 for both strengths, of Windows 7 without its AES-256.
const (
	windowsIKEOptional = "3des-sha1, 3des-sha256, 3des-sha384, aes128-sha1, aes128-sha256, aes128-sha384, aes192-sha1, aes192-sha256, aes192-sha384, aes256-sha1, aes256-sha256, aes256-sha384"
	windowsIKERequire  = "3des-sha1, aes256-sha1, 3des-sha256, aes256-sha256, 3des-sha384, aes256-sha384"
	windowsIKE7        = "3des-sha1, 3des-sha256, 3des-sha384, aes128-sha1, aes128-sha256, aes128-sha384"
	windowsESPOptional = "aes256-sha1, aes128-sha1, 3des-sha1, des-sha1, null-sha1"
	windowsESPRequire  = "aes256-sha1, 3des-sha1"
	windowsESP7        = "aes128-sha1, 3des-sha1, des-sha1, null-sha1"
)

// The words' transforms by their numbers, those included that no gateway ought
// to have.
var (
	cipherWords = map[string]message.Transform{
		"3des": {ID: 3}, "des": {ID: 2}, "null": {ID: 11},
		"aes128": {ID: 12, KeyLength: 128}, "aes192": {ID: 12, KeyLength: 192}, "aes256": {ID: 12, KeyLength: 256},
	}
	hashWords = map[string]struct{ prf, integ uint16 }{"sha1": {2, 2}, "sha256": {5, 12}, "sha384": {6, 13}}
)

// windowsOffer makes proposals of one suite each, all with modp1024.
func windowsOffer(t *testing.T, p message.Protocol, text string) []message.Proposal {
	t.Helper()
	var list []message.Proposal
	for i, pair := range strings.Split(text, ", ") {
		cipher, hash, _ := strings.Cut(pair, "-")
		encr, known := cipherWords[cipher]
		h, also := hashWords[hash]
		if !known || !also {
			t.Fatalf("no word of %q", pair)
		}
		encr.Type = message.TransformENCR
		transforms := []message.Transform{encr, {Type: message.TransformINTEG, ID: h.integ}}
		if p == message.ProtocolIKE {
			transforms = append(transforms, message.Transform{Type: message.TransformPRF, ID: h.prf}, message.Transform{Type: message.TransformKE, ID: 2})
		} else {
			transforms = append(transforms, message.Transform{Type: message.TransformESN})
		}
		list = append(list, message.Proposal{Number: uint8(i + 1), Protocol: p, Transforms: transforms})
	}
	return list
}

// windowsLogin logs Windows in with these proposals.
func (s *seedSite) windowsLogin(t *testing.T, c *client, user, ike, esp string) (*initiator.Session, error) {
	t.Helper()
	as := initiator.Windows10()
	as.IKE, as.ESP = windowsOffer(t, message.ProtocolIKE, ike), windowsOffer(t, message.ProtocolESP, esp)
	as.SilentLeave = false // or the gateway that ends waits for it
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var session *initiator.Session
	var err error
	c.Do(func() {
		session, err = initiator.Dial(ctx, initiator.Config{
			Server: seedGateway4, ServerName: gatewayName, Roots: s.root.Pool(), RequireServerAuth: true,
			User: user, Password: auth.Secret(seedPassword), Profile: as,
		})
	})
	return session, err
}

// TestSeedWithWindows replays the page's lists against its strict lines. By the
// client's order the outcome is the page's, by the gateway's the strongest of
// the list; 3DES it never is, though Windows has it first.
func TestSeedWithWindows(t *testing.T) {
	t.Parallel()
	for _, order := range []struct {
		name, more                  string
		optional, require, windows7 string // the outcome for IKE
	}{
		{"the gateway's order", "", "aes256-sha384-modp1024", "aes256-sha384-modp1024", "aes128-sha384-modp1024"},
		{"the client's order", "[ike]\norder = \"client\"\n", "aes128-sha1-modp1024", "aes256-sha1-modp1024", "aes128-sha1-modp1024"},
	} {
		t.Run(order.name, func(t *testing.T) {
			s := newSeedSite(t)
			s.serveSeed(t, order.more)
			c := s.newClient(t, "windows")
			for _, test := range []struct{ name, user, ike, esp, wantIKE, wantESP string }{
				{"optional encryption", seedUser, windowsIKEOptional, windowsESPOptional, order.optional, "aes256-sha1"},
				{"require encryption", `CORP\` + seedUser, windowsIKERequire, windowsESPRequire, order.require, "aes256-sha1"},
				{"Windows 7", seedUser, windowsIKE7, windowsESP7, order.windows7, "aes128-sha1"},
			} {
				session, err := s.windowsLogin(t, c, test.user, test.ike, test.esp)
				if err != nil {
					t.Fatalf("%s: %v", test.name, err)
				}
				r, in := session.Result(), s.oneSession(t)
				if r.IKE != test.wantIKE || r.ESP != test.wantESP || in.IKE != r.IKE || in.ESP != r.ESP || in.Client != "windows" {
					t.Errorf("%s: %s and %s, want %s and %s; the gateway says %+v", test.name, r.IKE, r.ESP, test.wantIKE, test.wantESP, in)
				}
				firstLeases(t, in)
				if err := session.Close(t.Context()); err != nil {
					t.Error(err)
				}
				s.nobodyIn(t)
			}
			s.refusesWeakWindows(t, c)
		})
	}
}

// refusesWeakWindows has it offer nothing but what the lines leave out.
func (s *seedSite) refusesWeakWindows(t *testing.T, c *client) {
	t.Helper()
	for _, test := range []struct{ name, ike, esp, cause string }{
		{"IKE", "3des-sha1, 3des-sha256, 3des-sha384", windowsESPOptional, "no-ike-proposal"},
		{"ESP", windowsIKERequire, "3des-sha1, des-sha1, null-sha1", "no-esp-proposal"},
	} {
		refused := new(initiator.NoProposalError)
		if _, err := s.windowsLogin(t, c, seedUser, test.ike, test.esp); !errors.As(err, &refused) {
			t.Errorf("%s: %v", test.name, err)
		}
		if r := s.newest(t, test.cause); r.Advice == "" || len(r.Evidence) < 2 {
			t.Errorf("%s: explained as %+v", test.name, r)
		}
	}
}
