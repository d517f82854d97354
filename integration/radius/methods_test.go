package radius_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bridgehead/auth"
	"bridgehead/integration/lab"
	"bridgehead/radius"
)

// eapol logs in with wpa_supplicant's EAP methods through the gateway's
// pass-through, and gives the gateway's last step and what eapol_test printed.
func (s *scene) eapol(t *testing.T, b auth.Backend, network string) (auth.Step, string, error) {
	t.Helper()
	f := newFront(t, b, s.secret)
	path := filepath.Join(t.TempDir(), "network.conf")
	if err := os.WriteFile(path, []byte("network={\nkey_mgmt=IEEE8021X\n"+network+"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(f.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "eapol_test", "-c", path, "-a", "127.0.0.1", "-p", port, "-s", s.secret, "-t", "20").CombinedOutput()
	return f.step(), string(out), err
}

func TestMethodsEndToEnd(t *testing.T) {
	s := newScene(t, "tls")
	client := s.authority.NewClient(lab.RSA2048, "laptop.example.org")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	s.authority.Write(file("ca.pem"))
	client.Write(file("client.pem"))
	client.WriteKey(file("client.key"))
	b, g := newBackend(t, radius.BackendConfig{}, s.config())
	tls := fmt.Sprintf("ca_cert=%q\nclient_cert=%q\nprivate_key=%q", file("ca.pem"), file("client.pem"), file("client.key"))
	inner := fmt.Sprintf("anonymous_identity=\"anonymous@example.org\"\nidentity=\"bob\"\npassword=%q\nca_cert=%q", s.password, file("ca.pem"))
	plain := fmt.Sprintf("identity=\"bob\"\npassword=%q", s.password)
	for name, tc := range map[string]struct {
		network string
		verdict auth.Verdict
		name    string
		cause   auth.Cause
		method  string // in the evidence
	}{
		"EAP-TLS":                    {network: "eap=TLS\nidentity=\"laptop\"\n" + tls, verdict: auth.Accept, name: "laptop"},
		"EAP-TLS in small fragments": {network: "eap=TLS\nidentity=\"laptop\"\nfragment_size=300\n" + tls, verdict: auth.Accept, name: "laptop"},
		"EAP-MSCHAPv2":               {network: "eap=MSCHAPV2\n" + plain, verdict: auth.Accept, name: "robert"},
		"EAP-TTLS, MSCHAPv2":         {network: "eap=TTLS\nphase2=\"auth=MSCHAPV2\"\n" + inner, verdict: auth.Accept, name: "bob"},
		"EAP-TTLS, PAP":              {network: "eap=TTLS\nphase2=\"auth=PAP\"\n" + inner, verdict: auth.Accept, name: "bob"},
		"PEAP, MSCHAPv2":             {network: "eap=PEAP\nphase2=\"auth=MSCHAPV2\"\n" + inner, verdict: auth.Accept, name: "bob"},
		"EAP-TTLS, wrong password":   {network: "eap=TTLS\nphase2=\"auth=PAP\"\n" + strings.Replace(inner, s.password, "wrong", 1), verdict: auth.Reject, cause: radius.CauseRefused, method: "EAP-TTLS"},
		"EAP-MD5 makes no key":       {network: "eap=MD5\n" + plain, verdict: auth.Unavailable, cause: radius.CauseNoKey, method: "EAP-MD5-Challenge"},
		"EAP-GTC makes no key":       {network: "eap=GTC\n" + plain, verdict: auth.Unavailable, cause: radius.CauseNoKey, method: "EAP-GTC"},
	} {
		t.Run(name, func(t *testing.T) {
			step, out, err := s.eapol(t, b, tc.network)
			if step.Verdict != tc.verdict || step.Reason.Cause != tc.cause || (err == nil) != (tc.verdict == auth.Accept) {
				t.Fatalf("verdict %d, %+v; eapol_test: %v\n%s", step.Verdict, step.Reason, err, out)
			}
			if tc.verdict == auth.Accept {
				if step.Grant.Name != tc.name || !strings.Contains(out, "MPPE keys OK: 1  mismatch: 0") {
					t.Errorf("the user is %q; eapol_test:\n%s", step.Grant.Name, out)
				}
				return
			}
			if got := evidence(step.Reason, "method"); got != tc.method {
				t.Errorf("method %q in %+v", got, step.Reason)
			}
		})
	}
	if f := g.Figures()[0]; f.Discarded() != 0 || f.Timeouts != 0 {
		t.Errorf("figures %+v", f)
	}
}

func evidence(r auth.Reason, key string) string {
	for _, e := range r.Evidence {
		if e.Key == key {
			return e.Value
		}
	}
	return ""
}
