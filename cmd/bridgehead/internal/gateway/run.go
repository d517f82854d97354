package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"bridgehead/ikev2/transport"
)

// shutdownTime bounds the end: a service manager or a person waits for it.
const shutdownTime = 10 * time.Second

// parts are the goroutines of a running gateway.
type parts struct {
	running sync.WaitGroup
	stop    context.CancelFunc // ends the gateway

	mu    sync.Mutex
	fault error // of the first part that ended by itself
}

// start runs a part until ctx ends. A part that ends before takes the gateway
// with it.
func (p *parts) start(ctx context.Context, name string, run func(context.Context) error) (ended <-chan struct{}) {
	over := make(chan struct{})
	p.running.Go(func() {
		defer close(over)
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		p.mu.Lock()
		if p.fault == nil {
			p.fault = fmt.Errorf("%s: %w", name, err)
		}
		p.mu.Unlock()
		p.stop()
	})
	return over
}

// wait gives the first fault once all parts have ended, or an error if ctx
// ends before.
func (p *parts) wait(ctx context.Context) error {
	over := make(chan struct{})
	go func() { p.running.Wait(); close(over) }()
	select {
	case <-over:
		return p.fault
	case <-ctx.Done():
		return errors.New("not every part of the gateway ended in time")
	}
}

// Run serves clients until ctx ends or a part fails, then tells the clients
// good-bye, puts the host back as it was, and closes everything, within ten
// seconds.
func (g *Gateway) Run(ctx context.Context) error {
	collectEarlier()
	answering, stopAnswering := context.WithCancel(ctx)
	defer stopAnswering()
	// Sockets, device and control socket outlive the responder, which needs
	// them to say good-bye.
	carrying, stopCarrying := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCarrying()

	p := &parts{stop: stopAnswering}
	p.start(carrying, "tunnel", g.plane.Run)
	p.start(carrying, "control socket", g.admin.Serve)
	p.start(carrying, "sockets", func(ctx context.Context) error { return g.transport.Serve(ctx, g) })
	if g.announcer != nil {
		p.start(carrying, "announcing of clients", g.announcer.Run)
	}
	if g.script != nil {
		p.start(carrying, "updown script", g.script.Run)
	}
	if g.accounts != nil {
		p.start(carrying, "accounting", g.accounts.Run)
	}
	answered := p.start(answering, "responder", g.responder.Run)
	g.dynamic.start(answering, p, g.logger)
	p.running.Go(func() { g.keepSystemdInformed(answering) })
	p.running.Go(func() { g.reloadOnHangup(answering) })
	p.running.Go(func() { g.informs.run(carrying) })

	g.tellSystemd(daemon.SdNotifyReady)
	g.logger.Info("ready", slog.Any("listen", g.Listening()), slog.String("device", g.plane.Name()))
	<-answering.Done()

	g.tellSystemd(daemon.SdNotifyStopping)
	g.logger.Info("stopping")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	select {
	case <-answered:
	case <-ending.Done(): // wait reports it
	}
	g.tellOfEnds(ending)
	g.closeAccounts(ending)
	err := g.host() // while the device is there to take routes from
	stopCarrying()
	err = errors.Join(p.wait(ending), err, g.Close())
	g.logger.Info("stopped")
	return err
}

// tellOfEnds lets the site's program hear of the sessions that end with the
// gateway, in half of the time that is left: what hangs must not hold up the
// rest.
func (g *Gateway) tellOfEnds(ending context.Context) {
	if g.script == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ending, shutdownTime/2)
	defer cancel()
	if err := g.script.Drain(ctx); err != nil {
		g.logger.Warn(err.Error())
	}
}

// HandleIKE implements transport.Handler.
func (g *Gateway) HandleIKE(batch []transport.Datagram) { g.responder.HandleIKE(batch) }

// HandleESP implements transport.Handler.
func (g *Gateway) HandleESP(batch []transport.ESPDatagram) { g.plane.HandleESP(batch) }
