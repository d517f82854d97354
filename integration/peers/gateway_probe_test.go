package peers

import (
	"path/filepath"
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// probed is the part of the probe's JSON that the tests look at.
type probed struct {
	Verdict, Error, Address, IKE, ESP, EAP, Identity string
	FailedAt                                         string  `json:"failed_at"`
	Total                                            float64 `json:"total_ms"`
	Logout                                           float64 `json:"logout_ms"`
	Steps                                            []struct {
		Step string
		MS   float64
	}
	Addresses, DNS, Routes []string
	Certificate            *struct {
		Names     []string
		ChainSent int `json:"chain_sent"`
		DaysLeft  int `json:"days_left"`
	}
}

// TestProbe looks at both gateways from outside, as one would at a stranger's.
func TestProbe(t *testing.T) {
	t.Parallel()
	t.Run("bridgehead", func(t *testing.T) {
		s := newSite(t)
		s.serve(t, "")
		c := s.newClient(t, "client")
		probeBoth(t, c.Namespace, s.root, s.outside.IPv4.String(), s.outside.IPv6.String())
		s.nobodyIn(t)
		if r := s.newest(t, "client-refused-our-authentication"); r.Peer == "" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("strongSwan", func(t *testing.T) {
		w := newWorld(t, lab.RSA2048, "eap-mschapv2")
		probeBoth(t, w.client, w.root, gatewayAddress, "fd00:77::1")
		// It keeps for a while a login whose client refused its certificate.
		if sas := w.charon.Swanctl("--list-sas"); strings.Contains(sas, "ESTABLISHED") {
			t.Errorf("after all probes the gateway still has:\n%s", sas)
		}
	})
}

// probeBoth probes a gateway by both families, rightly and wrongly.
func probeBoth(t *testing.T, n *lab.Namespace, root *lab.Certificate, v4, v6 string) {
	t.Helper()
	dir := t.TempDir()
	ca, foreign := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "foreign.pem")
	root.Write(ca)
	lab.NewCA(t, "Foreign Root", lab.ECDSA256).Write(foreign)
	nobody := v4[:strings.LastIndex(v4, ".")] + ".77"
	for _, test := range []struct {
		name, address, password string
		args                    string
		code                    int
		verdict, at             string
	}{
		{"IPv4", v4, password, "--ca " + ca, 0, "ok", ""},
		{"IPv6", v6, password, "--ca " + ca, 0, "ok", ""},
		{"wrong password", v4, "wrong battery", "--ca " + ca, 4, "wrong-user-or-password", "EAP challenge"},
		{"nobody there", nobody, password, "--patience 2s --ca " + ca, 5, "no-answer", "IKE_SA_INIT"},
		{"no proposal in common", v4, password, "--ike aes192-sha1-modp1536 --ca " + ca, 1, "no-common-proposal", "IKE_SA_INIT"},
		{"foreign authority", v4, password, "--ca " + foreign, 1, "certificate-refused", "certificate"},
	} {
		args := append([]string{"probe", test.address, "--server-name", gatewayName, "--user", user, "--json"}, strings.Fields(test.args)...)
		got := bridgehead(t, n, test.password+"\n", args...)
		r := decode[probed](t, got.out)
		if got.code != test.code || r.Verdict != test.verdict || r.FailedAt != test.at {
			t.Errorf("%s: %s", test.name, got)
			continue
		}
		if strings.Contains(got.String(), "battery") || strings.Contains(got.String(), password) {
			t.Errorf("%s: the password is shown: %s", test.name, got)
		}
		if test.code == 0 {
			r.checkComplete(t, test.name)
		} else if r.Error == "" {
			t.Errorf("%s: no word of what to do: %s", test.name, got)
		}
	}
	text := bridgehead(t, n, password+"\n", "probe", v4, "--server-name", gatewayName, "--user", user, "--ca", ca)
	if text.code != 0 || !strings.Contains(text.out, "EAP challenge") || !strings.Contains(text.out, "the login took ") {
		t.Errorf("for a person: %s", text)
	}
}

func (r probed) checkComplete(t *testing.T, name string) {
	t.Helper()
	if len(r.Steps) != 7 || r.Total <= 0 || r.Logout <= 0 || r.IKE == "" || r.ESP == "" || r.EAP != "MSCHAPv2" || r.Identity != gatewayName {
		t.Errorf("%s: %+v", name, r)
	}
	if len(r.Addresses) != 2 || len(r.DNS) != 2 || len(r.Routes) != 2 {
		t.Errorf("%s: addresses %v, DNS %v, routes %v; want both families", name, r.Addresses, r.DNS, r.Routes)
	}
	if r.Certificate == nil || r.Certificate.ChainSent != 2 || len(r.Certificate.Names) != 2 {
		t.Errorf("%s: certificate %+v", name, r.Certificate)
	}
}
