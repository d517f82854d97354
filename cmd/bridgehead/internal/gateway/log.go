package gateway

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"bridgehead/cmd/bridgehead/internal/config"
)

// NewLogger makes the log: text for a person at a terminal, else JSON, unless
// the configuration says. level may be changed while it is in use.
func NewLogger(w io.Writer, l config.Log, level *slog.LevelVar) *slog.Logger {
	level.Set(l.Level)
	options := &slog.HandlerOptions{Level: level}
	f, ok := w.(*os.File)
	person := ok && term.IsTerminal(int(f.Fd()))
	if l.Format == config.LogText || l.Format == config.LogAuto && person {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
