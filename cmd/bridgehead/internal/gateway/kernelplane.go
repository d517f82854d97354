package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2/transport"
	"bridgehead/ikev2/tunnel"
	"bridgehead/ikev2/xfrm"
)

// reconcileEvery is how often the kernel's states and policies are compared
// with the Child SAs.
const reconcileEvery = time.Minute

// kernel is ESP in the kernel of the network namespace that the gateway runs
// in, with a device that only holds the pools' routes.
type kernel struct {
	*xfrm.Plane
	*tunnel.Placeholder
	logger *slog.Logger
}

func (g *Gateway) openKernel(c *config.Config) (dataPlane, error) {
	device, err := tunnel.OpenPlaceholder(c.DataPlane.Device, c.DataPlane.MTU)
	if err != nil {
		return nil, err
	}
	p, err := xfrm.Open(g.kernelConfig(c))
	if err != nil {
		return nil, errors.Join(err, device.Close())
	}
	if n := p.Swept(); n > 0 {
		g.undone([]string{fmt.Sprintf("%d states and policies of kernel ESP removed", n)})
	}
	return &kernel{p, device, g.logger}, nil
}

// kernelConfig says to kernel ESP what a configuration says.
func (g *Gateway) kernelConfig(c *config.Config) xfrm.Config {
	return xfrm.Config{Protected: poolPrefixes(c), OutputMark: c.DataPlane.OutputMark, OnEvent: g.kernelEvent}
}

// kernelEvent passes on what the kernel tells of a Child SA. It does not block.
func (g *Gateway) kernelEvent(e xfrm.Event) {
	switch e.Kind {
	case xfrm.Rebound:
		g.responder.Rebound(e.Child, e.Remote)
	case xfrm.Exhausting:
		g.responder.Exhausting(e.Child)
	case xfrm.Faulted:
		g.logger.Error("kernel ESP failed", slog.Uint64("child", uint64(e.Child)), slog.Any("error", e.Err))
		g.responder.Lost(e.Child)
	case xfrm.Lost:
		g.responder.Lost(e.Child)
	}
}

// String implements dataPlane.
func (k *kernel) String() string {
	return "kernel ESP, " + k.Name() + " holding the routes"
}

// Close takes all out of the kernel.
func (k *kernel) Close() error { return errors.Join(k.Plane.Close(), k.Placeholder.Close()) }

// HandleESP has nothing to do: the kernel takes ESP packets before the sockets
// see them, but for those that came while the sockets were being opened.
func (k *kernel) HandleESP([]transport.ESPDatagram) {}

// Run keeps the kernel as it should be, until ctx ends.
func (k *kernel) Run(ctx context.Context) error {
	ticker := time.NewTicker(reconcileEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			k.reconcile(ctx)
		}
	}
}

// reconcile mends what others have changed, and says so.
func (k *kernel) reconcile(ctx context.Context) {
	r, err := k.Reconcile(ctx)
	if err != nil && ctx.Err() == nil {
		k.logger.Error("kernel ESP could not be reconciled", slog.Any("error", err))
	}
	if r.Removed+r.Restored+len(r.Lost) > 0 {
		k.logger.Warn("kernel ESP was not as it should be; does another program change it?", slog.String("reconciled", r.String()))
	}
}

// drops are the kernel's counters of IPsec packets that it dropped.
func (k *kernel) drops() map[string]uint64 {
	b, err := os.ReadFile("/proc/net/xfrm_stat")
	if err != nil {
		return nil // a kernel without CONFIG_XFRM_STATISTICS
	}
	return xfrmStatistics(b)
}

// carried implements dataPlane.
func (k *kernel) carried(ctx context.Context) (in, out uint64) {
	in, out, err := k.Carried(ctx)
	if err != nil {
		k.logger.Warn("the traffic of kernel ESP is not known", slog.Any("error", err))
	}
	return in, out
}

// xfrmStatistics reads /proc/net/xfrm_stat: a name such as XfrmInNoStates,
// here in_no_states, and a number a line.
func xfrmStatistics(text []byte) map[string]uint64 {
	m := map[string]uint64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Xfrm")
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			continue
		}
		var label strings.Builder
		for i, c := range name {
			if unicode.IsUpper(c) && i > 0 {
				label.WriteByte('_')
			}
			label.WriteRune(unicode.ToLower(c))
		}
		m[label.String()] = n
	}
	return m
}
