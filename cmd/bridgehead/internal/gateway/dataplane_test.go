package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/xfrm"
)

func TestDataPlaneIsChosenByTheKernel(t *testing.T) {
	everything := xfrm.Capabilities{ESP4: true, ESP6: true, Encap4: true, Encap6: true, GCM: true, CBC: true, ChaCha20: true}
	old := everything
	old.Encap6 = false
	esp, err := suite.ParseProposals(message.ProtocolESP, "aes256gcm16,aes256-sha256")
	if err != nil {
		t.Fatal(err)
	}
	noRights := errors.New("run as root")
	for _, tc := range []struct {
		kind   string
		can    xfrm.Capabilities
		probe  error
		listen string
		kernel bool
		says   string // of the choice, or of the error
		fails  bool
	}{
		{kind: config.PlaneAuto, can: everything, kernel: true, says: "kernel ESP: the kernel has ESP over IPv4, "},
		{kind: config.PlaneAuto, can: old, says: "userspace ESP: the kernel lacks UDP encapsulation over IPv6 (Linux 5.8)"},
		{kind: config.PlaneAuto, can: old, listen: "192.0.2.1", kernel: true, says: "kernel ESP: the kernel has ESP over IPv4, "},
		{kind: config.PlaneAuto, probe: noRights, says: "userspace ESP: run as root"},
		{kind: config.PlaneUserspace, can: everything, says: "userspace ESP: dataplane.kind says so"},
		{kind: config.PlaneKernel, can: everything, kernel: true, says: "kernel ESP: dataplane.kind says so"},
		{kind: config.PlaneKernel, listen: "2001:db8::1", fails: true, says: "the kernel lacks ESP over IPv6 (module esp6): load the modules with modprobe"},
		{kind: config.PlaneKernel, probe: noRights, fails: true, says: "kernel ESP: run as root"},
	} {
		c := config.Default()
		c.DataPlane.Kind, c.ESP.Proposals = tc.kind, esp
		if tc.listen != "" {
			c.Server.Listen = []netip.Addr{netip.MustParseAddr(tc.listen)}
		}
		choice, err := choosePlaneBy(c, func() (xfrm.Capabilities, error) { return tc.can, tc.probe })
		said := choice.String()
		if err != nil {
			said = err.Error()
		}
		var refusal *PlaneError
		if errors.As(err, &refusal) != tc.fails || choice.kernel != tc.kernel || !strings.HasPrefix(said, tc.says) {
			t.Errorf("%s on %v: %q, error %v", tc.kind, tc.can, said, err)
		}
		if tc.probe != nil && tc.fails && !errors.Is(err, tc.probe) {
			t.Errorf("%v does not wrap its cause", err)
		}
	}
}

// TestXFRMStatistics with lines as Linux writes them, and what it might.
func TestXFRMStatistics(t *testing.T) {
	got := xfrmStatistics([]byte("XfrmInError             \t0\nXfrmInNoStates          \t12\nXfrmOutPolBlock\t3\nXfrmAcquireError x\n\nnothing\n"))
	if want := "map[in_error:0 in_no_states:12 out_pol_block:3]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestKernelESPIsConfigured(t *testing.T) {
	c := config.Default()
	c.DataPlane.OutputMark = 42
	pool, err := config.ParsePool("192.0.2.0/25")
	if err != nil {
		t.Fatal(err)
	}
	c.Addresses.Pools = []config.Pool{pool}
	got := new(Gateway).kernelConfig(c)
	if got.OutputMark != 42 || fmt.Sprint(got.Protected) != "[192.0.2.0/25]" || got.OnEvent == nil {
		t.Errorf("%+v", got)
	}
}
