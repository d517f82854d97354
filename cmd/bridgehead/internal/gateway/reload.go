package gateway

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/config"
)

// Reload implements admin.Gateway: it reads the configuration and the users
// again. All that can change without a restart does, or, where anything is
// wrong, nothing; sessions stay up.
func (g *Gateway) Reload(ctx context.Context) (admin.Reloaded, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	r, err := g.reload(ctx)
	g.metrics.reloaded(time.Now(), err)
	if err != nil {
		g.logger.Error("not reloaded, all stays as it was", slog.Any("error", err))
		return r, err
	}
	g.logger.Info("reloaded", slog.Any("changed", r.Changed), slog.Any("needs_restart", r.Restart))
	return r, nil
}

// reload is Reload with the lock held. Whatever can fail comes first.
func (g *Gateway) reload(ctx context.Context) (admin.Reloaded, error) {
	r := admin.Reloaded{Changed: []string{}, Restart: []string{}}
	running, next := g.config.Load(), g.config.Load()
	if g.options.File != "" {
		loaded, warnings, err := LoadConfig(g.options.File)
		if err != nil {
			return r, err
		}
		for _, w := range warnings {
			g.logger.Warn(w.String())
		}
		if next = loaded; g.options.Adjust != nil {
			g.options.Adjust(next)
		}
	}
	identities, err := loadIdentities(next)
	if err != nil {
		return r, err
	}
	taken, err := g.takeOver(next)
	if err != nil {
		return r, err
	}
	defer taken.drop()
	for _, setting := range differences(running, next) {
		if reloadable(setting) || sameBackends(running, next) && routes(setting) {
			r.Changed = append(r.Changed, setting)
		} else {
			r.Restart = append(r.Restart, setting)
		}
	}
	if !identities.equal(g.identities.Load()) {
		r.Changed = append(r.Changed, "certificates")
	}
	r.Changed = append(r.Changed, taken.changed()...)
	merged := merge(running, next)
	dynamic, err := readDAE(merged)
	if err != nil {
		return r, err
	}
	if err := g.responder.Reconfigure(ctx, g.responderConfig(merged, identities)); err != nil {
		return r, err
	}
	if err := g.dynamic.take(dynamic); err != nil {
		return r, err
	}
	taken.keep()
	g.identities.Store(identities)
	g.config.Store(merged)
	if g.options.Level != nil {
		g.options.Level.Set(merged.Log.Level)
	}
	return r, nil
}

// reloadable tells which settings take effect without a restart; merge takes
// over the same ones.
func reloadable(setting string) bool {
	switch setting {
	case "server.certificate", "server.key", "server.chain", "addresses.dns", "addresses.subnets", "addresses.domains", "log.level",
		"dae.tls.ca", "dae.tls.certificate", "dae.tls.key":
		return true
	}
	section, _, _ := strings.Cut(setting, ".")
	return section == "ike" || section == "esp" || section == "sessions" || section == "groups" || section == "radius" || strings.HasPrefix(setting, "auth.radius.") || strings.HasPrefix(setting, "auth.file.") || strings.HasPrefix(setting, "dae.clients.")
}

// routes tells which settings say which backend decides: they take effect without
// a restart while it is the same backends.
func routes(setting string) bool {
	return setting == "auth.backend" || setting == "auth.outage" || strings.HasPrefix(setting, "auth.rules.") || strings.HasPrefix(setting, "auth.break_glass.")
}

// merge is the running configuration with the reloadable settings of next.
func merge(running, next *config.Config) *config.Config {
	c := *running
	c.Server.Certificates, c.Server.Keys, c.Server.Chain = next.Server.Certificates, next.Server.Keys, next.Server.Chain
	c.Addresses.DNS, c.Addresses.Subnets, c.Addresses.Domains = next.Addresses.DNS, next.Addresses.Subnets, next.Addresses.Domains
	c.Sessions = next.Sessions
	c.IKE, c.ESP, c.Auth.File, c.Log.Level = next.IKE, next.ESP, next.Auth.File, next.Log.Level
	c.Auth.RADIUS, c.RADIUS = next.Auth.RADIUS, next.RADIUS
	c.Groups = next.Groups
	if sameBackends(running, next) {
		c.Auth = next.Auth
	}
	c.DAE.Clients = next.DAE.Clients
	c.DAE.TLS.CA, c.DAE.TLS.Certificate, c.DAE.TLS.Key = next.DAE.TLS.CA, next.DAE.TLS.Certificate, next.DAE.TLS.Key
	return &c
}

// differences lists the settings whose values differ, those included that only
// one of the two has.
func differences(a, b *config.Config) []string {
	was := map[string]string{}
	for _, e := range a.Explain() {
		was[e.Setting] = e.Value
	}
	var list []string
	for _, e := range b.Explain() {
		if value, ok := was[e.Setting]; !ok || value != e.Value {
			list = append(list, e.Setting)
		}
		delete(was, e.Setting)
	}
	return append(list, slices.Sorted(maps.Keys(was))...)
}

// reloadOnHangup reloads whenever SIGHUP comes, until ctx ends.
func (g *Gateway) reloadOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			// The outcome is in the log and in the metrics.
			_, _ = g.Reload(ctx)
		}
	}
}
