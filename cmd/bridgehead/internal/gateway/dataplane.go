package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/hostnet"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
	"bridgehead/ikev2/tunnel"
	"bridgehead/ikev2/xfrm"
)

// dataPlane is one of the two ways to move users' packets.
type dataPlane interface {
	esp.DataPlane
	HandleESP(batch []transport.ESPDatagram)
	Run(ctx context.Context) error // until ctx ends
	Close() error

	Name() string // of the device that the pools are routed to
	MTU() int
	String() string // for a person
	// drops are the ESP packets, and those to be, that were dropped, by reason.
	drops() map[string]uint64
	// carried are octets of users' packets.
	carried(ctx context.Context) (in, out uint64)
}

// planeChoice is which data plane is used, and why.
type planeChoice struct {
	kernel bool
	why    string
}

// String is the choice with its reason, for a person.
func (c planeChoice) String() string {
	if c.kernel {
		return "kernel ESP: " + c.why
	}
	return "userspace ESP: " + c.why
}

// PlaneError is a kernel that cannot do what dataplane.kind = "kernel" needs.
type PlaneError struct {
	Missing []string // in words
	Err     error    // why it could not be asked; nil: it was
}

// Error names what is missing and the remedy.
func (e *PlaneError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("kernel ESP: %v", e.Err)
	}
	return "the kernel lacks " + strings.Join(e.Missing, ", ") +
		": load the modules with modprobe (xfrm_user, esp4, esp6), use a kernel that has them, or choose the userspace data plane"
}

// Unwrap gives the reason.
func (e *PlaneError) Unwrap() error { return e.Err }

// choosePlane decides for a configuration, on this host. The error is a
// *PlaneError.
func choosePlane(c *config.Config) (planeChoice, error) { return choosePlaneBy(c, xfrm.Probe) }

func choosePlaneBy(c *config.Config, probe func() (xfrm.Capabilities, error)) (planeChoice, error) {
	if c.DataPlane.Kind == config.PlaneUserspace {
		return planeChoice{why: config.SettingPlane + " says so"}, nil
	}
	capabilities, err := probe()
	refusal := &PlaneError{Missing: capabilities.Missing(needs(c)), Err: err}
	switch able := err == nil && len(refusal.Missing) == 0; {
	case able && c.DataPlane.Kind == config.PlaneKernel:
		return planeChoice{true, config.SettingPlane + " says so"}, nil
	case able:
		return planeChoice{true, "the kernel has " + capabilities.String()}, nil
	case c.DataPlane.Kind == config.PlaneKernel:
		return planeChoice{}, refusal
	case err != nil:
		return planeChoice{why: err.Error()}, nil
	}
	return planeChoice{why: "the kernel lacks " + strings.Join(refusal.Missing, ", ")}, nil
}

// needs are what a configuration asks of the kernel.
func needs(c *config.Config) (n xfrm.Needs) {
	for _, a := range c.Server.Listen {
		n.IPv4, n.IPv6 = n.IPv4 || a.Unmap().Is4(), n.IPv6 || a.Unmap().Is6()
	}
	if len(c.Server.Listen) == 0 {
		n.IPv4, n.IPv6 = hostnet.IPv4.Available(), hostnet.IPv6.Available()
	}
	for _, p := range c.ESP.Proposals {
		for _, t := range p.Transforms {
			if t.Type == message.TransformENCR {
				n.Suites = append(n.Suites, suite.ESP{Encr: t.ID, KeyLength: t.KeyLength})
			}
		}
	}
	return n
}

// checkPlane refuses a configuration that asks for kernel ESP where there is
// none.
func checkPlane(c *config.Config) []config.Problem {
	_, err := choosePlane(c)
	var refusal *PlaneError
	if !errors.As(err, &refusal) {
		return nil
	}
	p := c.At
	if refusal.Err != nil { // who only checks may lack the right to ask
		p = c.Warn
	}
	return []config.Problem{p(config.SettingPlane, -1, config.SettingPlane+": "+err.Error(),
		`"auto" takes the userspace data plane where the kernel cannot`).As(config.CauseKernelESP)}
}

// ExplainPlane tells a person which data plane a configuration gets on this
// host, and why.
func ExplainPlane(c *config.Config) string {
	choice, err := choosePlane(c)
	if err != nil {
		return err.Error()
	}
	return choice.String()
}

// choosePlane says in the log which data plane is used.
func (g *Gateway) choosePlane(context.Context) error {
	choice, err := choosePlane(g.config.Load())
	if err != nil {
		return fmt.Errorf("%s: %w", config.SettingPlane, err)
	}
	g.choice = choice
	kind := config.PlaneUserspace
	if choice.kernel {
		kind = config.PlaneKernel
	}
	g.logger.Info("data plane", slog.String("kind", kind), slog.String("why", choice.why))
	return nil
}

// openPlane opens the data plane, after the sockets: a gateway that runs
// already has those, and its tunnels are not to be taken for a crashed one's.
func (g *Gateway) openPlane(context.Context) error {
	c := g.config.Load()
	open := g.openUserspace
	if g.choice.kernel {
		open = g.openKernel
	}
	p, err := open(c)
	if err != nil {
		return err
	}
	g.plane = p
	g.onClose(p.Close)
	g.openLimiter()
	g.routes, err = hostnet.OpenHostRoutes(p.Name(), poolPrefixes(c))
	return err
}

// userspace is ESP in this process, over a TUN device.
type userspace struct{ *tunnel.Tunnel }

func (g *Gateway) openUserspace(c *config.Config) (dataPlane, error) {
	t, err := tunnel.Open(tunnel.Config{
		Transport: g.transport, Device: c.DataPlane.Device, MTU: c.DataPlane.MTU, Broadcast: g.informs.broadcast(),
		OnRebind: func(id esp.ChildID, seen esp.Path) { g.responder.Rebound(id, seen.Remote) },
	})
	if err != nil {
		return nil, err
	}
	return userspace{t}, nil
}

func (u userspace) String() string { return "userspace ESP on " + u.Name() }

func (u userspace) drops() map[string]uint64 { return userspaceDrops(u.Drops()) }

func userspaceDrops(counts tunnel.Drops) map[string]uint64 {
	m := make(map[string]uint64, len(counts))
	for i, n := range counts {
		m[tunnel.Reason(i).String()] = n
	}
	return m
}

// carried is what the device counts: what the gateway writes into it the kernel
// counts as received.
func (u userspace) carried(context.Context) (in, out uint64) {
	return deviceOctets(u.Name(), "rx_bytes"), deviceOctets(u.Name(), "tx_bytes")
}
