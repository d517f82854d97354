package initiator

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bridgehead/ikev2/message"
)

func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestPrefixes(t *testing.T) {
	between := func(a, b string) message.Selector {
		return message.Selector{Start: netip.MustParseAddr(a), End: netip.MustParseAddr(b), EndPort: 65535}
	}
	for _, test := range []struct {
		of   message.Selector
		want string
	}{
		{message.SelectorOf(mustPrefix("0.0.0.0/0")), "0.0.0.0/0"},
		{message.SelectorOf(mustPrefix("::/0")), "::/0"},
		{message.SelectorOf(mustPrefix("2001:db8::/96")), "2001:db8::/96"},
		{between("10.0.0.1", "10.0.0.6"), "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32"},
		{between("255.255.255.254", "255.255.255.255"), "255.255.255.254/31"},
		{between("10.0.0.2", "10.0.0.1"), ""},
		{message.Selector{Raw: &message.RawSelector{}}, ""},
	} {
		var got []string
		for _, p := range Prefixes([]message.Selector{test.of}) {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s to %s gives %v, want %s", test.of.Start, test.of.End, got, test.want)
		}
	}
}

// TestPrefixesCoverExactly compares the prefixes of a range with the range.
func TestPrefixesCoverExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint16().Draw(t, "a"), rapid.Uint16().Draw(t, "b")
		at := func(n uint16) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }
		total := 0
		for i, p := range Prefixes([]message.Selector{{Start: at(min(a, b)), End: at(max(a, b))}}) {
			if p.Masked() != p || i == 0 && p.Addr() != at(min(a, b)) {
				t.Fatalf("prefix %s", p)
			}
			total += 1 << (32 - p.Bits())
		}
		if total != int(max(a, b))-int(min(a, b))+1 {
			t.Fatalf("%d addresses are covered", total)
		}
	})
}

func TestParseConfiguration(t *testing.T) {
	attribute := func(kind message.CPAttributeType, value ...byte) message.CPAttribute {
		return message.CPAttribute{Type: kind, Value: value}
	}
	v6 := netip.MustParseAddr("2001:db8::1").AsSlice()
	got, err := parseConfiguration([]message.CPAttribute{
		attribute(message.InternalIP4Netmask, 255, 255, 255, 128), attribute(message.InternalIP4Address, 192, 0, 2, 1),
		attribute(message.InternalIP6Address, append(slices.Clone(v6), 64)...), attribute(message.InternalIP6DNS, v6...),
		attribute(message.InternalIP4DNS), attribute(message.InternalIP4DNS, 192, 0, 2, 200),
		attribute(message.InternalDNSDomain, []byte("example.org")...), attribute(message.InternalIP4Subnet, 10, 0, 0, 0, 255, 0, 0, 0),
		attribute(message.InternalIP6Subnet, append(slices.Clone(v6), 128)...), attribute(99, 1, 2, 3),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Configuration{
		Addresses: []netip.Prefix{mustPrefix("192.0.2.1/25"), mustPrefix("2001:db8::1/64")},
		DNS:       []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.200")},
		Domains:   []string{"example.org"},
		Subnets:   []netip.Prefix{mustPrefix("10.0.0.0/8"), mustPrefix("2001:db8::1/128")},
	}
	if !slices.Equal(got.Addresses, want.Addresses) || !slices.Equal(got.DNS, want.DNS) || !slices.Equal(got.Domains, want.Domains) || !slices.Equal(got.Subnets, want.Subnets) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []message.CPAttribute{
		attribute(message.InternalIP4Address, 1, 2, 3), attribute(message.InternalIP6Address, v6[:15]...), attribute(message.InternalIP6Address, append(slices.Clone(v6), 129)...),
		attribute(message.InternalIP4Netmask, 255, 0, 255, 0), attribute(message.InternalIP4Netmask, 255), attribute(message.InternalIP4DNS, v6...),
		attribute(message.InternalIP4Subnet, 10, 0, 0, 0), attribute(message.InternalIP6Subnet, v6...),
	} {
		if c, err := parseConfiguration([]message.CPAttribute{bad}); err == nil {
			t.Errorf("%s %v gives %+v", bad.Type, bad.Value, c)
		}
	}
}

func TestIdentityOf(t *testing.T) {
	for _, test := range []struct {
		name string
		kind message.IDKind
		data string
	}{
		{"alice", message.IDFQDN, "alice"}, {"alice@example.org", message.IDRFC822Addr, "alice@example.org"},
		{"192.0.2.1", message.IDIPv4Addr, "\xc0\x00\x02\x01"}, {"2001:db8::1", message.IDIPv6Addr, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
	} {
		if id := identityOf(test.name); id.Kind != test.kind || string(id.Data) != test.data {
			t.Errorf("%s gives %s %q", test.name, id.Kind, id.Data)
		}
	}
}

// TestEveryFailureIsNamed checks that each Failure has a verdict of its own
// kind, keeps its step and ends in what can be done.
func TestEveryFailureIsNamed(t *testing.T) {
	inner := errors.New("inner")
	for _, f := range []Failure{
		&ResolveError{at{StepResolve}, "vpn.example", inner},
		&TimeoutError{at: at{StepInit}, Sent: 1, Waited: time.Second},
		&TimeoutError{at: at{StepCertificate}, Sent: 1, Answers: true, Missing: []int{2}, Total: 3},
		&TimeoutError{at: at{StepFinal}, Sent: 1, Answers: true},
		&RefusedError{at{StepFinal}, message.TSUnacceptable, nil},
		&NoProposalError{at: at{StepInit}, Protocol: message.ProtocolIKE, Offered: "aes256-sha256-modp2048"},
		&CertificateError{at: at{StepCertificate}, Rule: RuleName, Expected: "a", Names: []string{"b"}},
		&CertificateError{at: at{StepCertificate}, Rule: RuleAuthority, Err: inner},
		&CertificateError{at: at{StepCertificate}, Rule: RuleValidity, Err: inner},
		&SignatureError{at{StepCertificate}, inner},
		&CredentialsError{at{StepChallenge}, "alice", 691, "no"},
		&CredentialsError{at{StepChallenge}, "alice", 0, ""},
		&MethodError{at{StepMethod}, "TLS"},
		&ProtocolError{at{StepFinal}, inner},
		&DeletedError{at: at{StepLiveness}},
		&LocalError{at{StepInstall}, inner},
		&InterruptedError{at{StepInit}, inner},
	} {
		if f.Verdict() == "" || f.Verdict() == VerdictOK || f.At() == "" || !strings.HasPrefix(f.Error(), string(f.At())+": ") {
			t.Errorf("%T: verdict %q, text %q", f, f.Verdict(), f.Error())
		}
		if w, ok := f.(interface{ Unwrap() error }); ok && strings.Contains(f.Error(), "inner") && !errors.Is(w.Unwrap(), inner) {
			t.Errorf("%T shows its cause but does not unwrap to it", f)
		}
	}
}

func TestLatency(t *testing.T) {
	if got := latency(nil); got != (Latency{}) {
		t.Errorf("of nothing %+v", got)
	}
	var ds []time.Duration
	for i := range 200 {
		ds = append(ds, time.Duration(200-i)*time.Millisecond)
	}
	if got := latency(ds); got != (Latency{P50: 100, P90: 180, P99: 198, Max: 200}) {
		t.Errorf("of 1 to 200 ms %+v", got)
	}
	if got := latency(ds[:1]); got != (Latency{200, 200, 200, 200}) {
		t.Errorf("of one %+v", got)
	}
}
