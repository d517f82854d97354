package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellSystemd sends a state to the service manager, if there is one
// (sd_notify(3)).
func (g *Gateway) tellSystemd(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		g.logger.Warn("the service manager was not told", slog.String("state", state), slog.Any("error", err))
	}
}

// keepSystemdInformed writes a status line now and then, and answers the
// watchdog as long as the responder answers us. It ends with ctx.
func (g *Gateway) keepSystemdInformed(ctx context.Context) {
	const statusEvery = 10 * time.Second
	every := statusEvery
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		g.logger.Warn("the service manager's watchdog is not understood", slog.Any("error", err))
	}
	if watchdog > 0 {
		every = min(every, watchdog/2)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asked, cancel := context.WithTimeout(ctx, every)
		sessions, err := g.Sessions(asked)
		cancel()
		if err != nil {
			continue // a stuck responder must not look alive
		}
		state := fmt.Sprintf("STATUS=%d sessions", len(sessions))
		if watchdog > 0 {
			state += "\n" + daemon.SdNotifyWatchdog
		}
		g.tellSystemd(state)
	}
}
