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

	var (
		parts sync.WaitGroup
		fault = make(chan error, 8) // one of each part
	)
	start := func(ctx context.Context, name string, run func(context.Context) error) {
		parts.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				fault <- fmt.Errorf("%s: %w", name, err)
				stopAnswering()
			}
		})
	}
	start(carrying, "tunnel", g.tunnel.Run)
	start(carrying, "control socket", g.admin.Serve)
	start(carrying, "sockets", func(ctx context.Context) error { return g.transport.Serve(ctx, g) })
	answered := make(chan struct{})
	start(answering, "responder", func(ctx context.Context) error {
		defer close(answered)
		return g.responder.Run(ctx)
	})
	parts.Go(func() { g.keepSystemdInformed(answering) })
	parts.Go(func() { g.reloadOnHangup(answering) })

	g.tellSystemd(daemon.SdNotifyReady)
	g.logger.Info("ready", slog.Any("listen", g.Listening()), slog.String("device", g.tunnel.Name()))
	<-answering.Done()

	g.tellSystemd(daemon.SdNotifyStopping)
	g.logger.Info("stopping")
	deadline := time.After(shutdownTime)
	var err error
	select {
	case <-answered:
	case <-deadline:
		err = errors.New("the responder did not end in time")
	}
	err = errors.Join(err, g.host()) // while the device is there to take routes from
	stopCarrying()
	ended := make(chan struct{})
	go func() { parts.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-deadline:
		err = errors.Join(err, errors.New("not every part ended in time"))
	}
	err = errors.Join(err, g.Close())
	select {
	case f := <-fault:
		err = errors.Join(f, err)
	default:
	}
	g.logger.Info("stopped")
	return err
}

// HandleIKE implements transport.Handler.
func (g *Gateway) HandleIKE(batch []transport.Datagram) { g.responder.HandleIKE(batch) }

// HandleESP implements transport.Handler.
func (g *Gateway) HandleESP(batch []transport.ESPDatagram) { g.tunnel.HandleESP(batch) }
