package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
	"bridgehead/ikev2/hostnet"
)

const (
	// scriptJournal is where the sessions are noted that the site's program
	// knows of, below paths.state.
	scriptJournal = "updown.journal"
	// connectionName is the name of the only connection there is, as strongSwan
	// has several.
	connectionName = "bridgehead"
)

// openScript makes the site's program ready to hear of sessions.
func (g *Gateway) openScript(context.Context) error {
	c := g.config.Load()
	if c.Hooks.UpDown == "" {
		return nil
	}
	s, err := hostnet.OpenScript(hostnet.ScriptConfig{
		Command: []string{c.Hooks.UpDown}, Journal: filepath.Join(c.Paths.State, scriptJournal),
		Connection: connectionName, Timeout: c.Hooks.Timeout, Logger: g.logger,
	})
	if err != nil {
		return fmt.Errorf("hooks.updown: %w", err)
	}
	g.script = s
	g.onClose(s.Close)
	if n := s.Left(); n > 0 {
		g.logger.Warn("the updown script is told of sessions that a crash has ended", slog.Int("sessions", n))
	}
	return nil
}

// visits tells the site's program of sessions.
type visits struct {
	script *hostnet.Script
	config *atomic.Pointer[config.Config]
}

// event passes on what the program is to hear. It never blocks.
func (v *visits) event(e ikev2.SessionEvent) {
	i := e.Session
	switch e.Kind {
	case ikev2.EventUp:
		c := v.config.Load()
		v.script.Up(hostnet.Session{
			ID: i.ID, Local: i.Local, Remote: i.Remote, Encap: i.Encap, LocalID: c.Server.Name, RemoteID: i.Identity,
			User: i.User, Group: i.Group, Addresses: inner(i), Subnets: i.Routes,
		})
	case ikev2.EventDown:
		v.script.Down(i.ID)
	}
}
