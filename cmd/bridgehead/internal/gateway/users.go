package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
)

// userFile is the file backend: a file of users behind EAP-MSCHAPv2. The file
// can be exchanged for another while conversations run.
type userFile struct {
	file   atomic.Pointer[secrets.File]
	logger *slog.Logger

	reserving sync.Mutex
	reserve   func(fixed []netip.Addr) error // keeps the users' fixed addresses from others; nil before reserveIn
}

// openUsers reads the file that the configuration names.
func openUsers(c *config.Config, logger *slog.Logger) (*userFile, error) {
	u := &userFile{logger: logger}
	f, err := u.open(c)
	if err != nil {
		return nil, err
	}
	u.file.Store(f)
	return u, nil
}

func (u *userFile) open(c *config.Config) (*secrets.File, error) {
	return secrets.Open(c.Auth.File.Path, secrets.Options{Format: format(c), OnLoad: u.loaded})
}

// loaded logs a reading of the file, which may come at any time: the file is
// read again when it has changed.
func (u *userFile) loaded(r secrets.Report) {
	for _, p := range r.Problems {
		u.logger.Warn("users: " + p.Error())
	}
	if r.Err != nil {
		u.logger.Error("users: the file was not read again, those of before stay in force", slog.Any("error", r.Err))
		return
	}
	u.logger.Info("users read", slog.String("file", r.Path), slog.Int("users", r.Users))
	u.reserveFixed()
}

// exchange takes another file into use.
func (u *userFile) exchange(f *secrets.File) {
	u.file.Store(f)
	u.reserveFixed()
}

// reserveIn has reserve told the users' fixed addresses whenever they were
// read again. It is called before the first login.
func (u *userFile) reserveIn(reserve func(fixed []netip.Addr) error) {
	u.reserving.Lock()
	u.reserve = reserve
	u.reserving.Unlock()
	u.reserveFixed()
}

// reserveFixed tells the fixed addresses of the file in use. The lock keeps
// an older list from being the last one told.
func (u *userFile) reserveFixed() {
	u.reserving.Lock()
	defer u.reserving.Unlock()
	f := u.file.Load()
	if f == nil || u.reserve == nil {
		return
	}
	if err := u.reserve(f.Fixed()); err != nil {
		u.logger.Error("users: fixed addresses", slog.Any("error", err))
	}
}

// Lookup implements auth.HashStore.
func (u *userFile) Lookup(ctx context.Context, name string) (auth.Account, bool, error) {
	return u.file.Load().Lookup(ctx, name)
}
