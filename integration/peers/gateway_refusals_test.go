package peers

import (
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// TestRefusalsAreExplained has strongSwan log in wrongly in every way a user
// or an administrator gets it wrong. "why" names each, and nobody else is
// harmed: a good login works right after.
func TestRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	c := s.newClient(t, "client")
	server := s.outside.IPv4.String()
	good := connection{server: server}
	s.swanctl(t, c, good.String())
	foreign := lab.NewCA(t, "Foreign Root", lab.ECDSA256)

	for _, test := range []struct {
		name  string
		wrong connection
		trust *lab.Certificate // nil: the site's
		// What the client is told, in strongSwan's words.
		client string
		// What the operator is told: cause, user, and words that the evidence
		// or the text must hold.
		cause, user string
		evidence    []string
	}{
		{
			"wrong password", connection{password: "wrong battery"}, nil,
			"EAP_MSCHAPV2 method failed", "wrong-password", user, nil,
		},
		{
			"unknown user", connection{user: "mallory"}, nil,
			"EAP_MSCHAPV2 method failed", "unknown-user", "mallory", nil,
		},
		{
			"foreign authority", connection{}, foreign,
			"no trusted RSA public key found", "client-refused-our-authentication", "", []string{"vpn.example.org"},
		},
		{
			"refused IKE proposal", connection{ike: "aes256-sha1-modp1024"}, nil,
			"NO_PROP", "no-ike-proposal", "", []string{"aes256-sha1-modp1024", "modp2048"},
		},
		{
			"refused ESP proposal", connection{esp: "3des-md5"}, nil,
			"NO_PROP", "no-esp-proposal", user, []string{"3des", "aes256gcm16"},
		},
		{
			"no address asked for", connection{vips: "none"}, nil,
			"FAIL_CP_REQ", "no-address-asked", user, nil,
		},
		{
			"another kind of authentication", connection{more: "local { auth = psk\n eap_id =\n }", secrets: `ike-1 { secret = "shared by all" }`}, nil,
			"AUTH_FAILED", "client-not-set-to-eap", "", nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.wrong.server = server
			c.trust(t, s, test.trust)
			c.charon.Load(test.wrong.String())
			out, err := c.charon.TrySwanctl("--initiate", "--child", "home", "--timeout", "10")
			if err == nil || !strings.Contains(out, test.client) {
				t.Errorf("the client is not told %q, error %v:\n%s", test.client, err, out)
			}
			r := s.newest(t, test.cause)
			if r.User != test.user || !strings.HasPrefix(r.Peer, c.uplink.IPv4.String()+":") || r.Silent || r.Text == "" || r.Advice == "" {
				t.Errorf("explained as %+v, want the user %q", r, test.user)
			}
			for _, want := range test.evidence {
				if !r.shows(want) {
					t.Errorf("the evidence lacks %q: %+v", want, r.Evidence)
				}
			}
			s.showsNoPassword(t, password, "wrong battery")
			_, _ = c.charon.TrySwanctl("--terminate", "--ike", "home") // where the IKE SA is still there
			s.nobodyIn(t)
			c.trust(t, s, nil)
			c.charon.Load(good.String())
			c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
			c.charon.Swanctl("--terminate", "--ike", "home")
			s.nobodyIn(t)
		})
	}
}

// trust makes an authority, or the site's for nil, the only one that strongSwan
// at the client trusts; it takes effect with the next Load.
func (c *client) trust(t *testing.T, s *site, authority *lab.Certificate) {
	t.Helper()
	if authority == nil {
		authority = s.root
	}
	c.charon.Trust(authority)
}

// newest waits for the newest refusal to have a cause.
func (s *site) newest(t *testing.T, cause string) refusal {
	t.Helper()
	var list []refusal
	lab.Eventually(t, lab.Patience, "a refusal for "+cause, func() bool {
		list = s.why(t)
		return len(list) > 0 && list[0].Cause == cause
	})
	return list[0]
}

// shows tells whether the evidence holds some words.
func (r refusal) shows(words string) bool {
	for _, e := range r.Evidence {
		if strings.Contains(e.Value, words) {
			return true
		}
	}
	return false
}

// showsNoPassword looks for passwords in all that the gateway tells.
func (s *site) showsNoPassword(t *testing.T, passwords ...string) {
	t.Helper()
	for _, text := range []string{s.process.Log(), s.asked(t, "why", "--json"), s.asked(t, "events", "--json"), s.asked(t, "metrics")} {
		for _, p := range passwords {
			if strings.Contains(text, p) {
				t.Errorf("%q is shown:\n%s", p, text)
			}
		}
	}
}
