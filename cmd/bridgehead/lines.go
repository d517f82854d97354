package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// lineHandler writes what is logged as an error in the form of quickstart's
// own lines, and nothing else. It is safe for concurrent use.
type lineHandler struct {
	out   io.Writer
	mu    *sync.Mutex // shared by the handlers of one writer
	attrs []slog.Attr
}

func newLineHandler(out io.Writer) slog.Handler { return &lineHandler{out: out, mu: new(sync.Mutex)} }

// Enabled implements slog.Handler.
func (*lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// Handle implements slog.Handler.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	fmt.Fprintf(&line, "%s  err  %s", r.Time.Local().Format("15:04:05"), r.Message)
	add := func(a slog.Attr) bool {
		switch value := a.Value.Resolve(); {
		case a.Key == "error":
			fmt.Fprintf(&line, ": %v", value)
		case value.Kind() != slog.KindGroup: // the lines of a person name what matters
			fmt.Fprintf(&line, ", %s %v", a.Key, value)
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := fmt.Fprintln(h.out, visible(strings.ReplaceAll(line.String(), "\n", "; ")))
	return err
}

// WithAttrs implements slog.Handler.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lineHandler{out: h.out, mu: h.mu, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup implements slog.Handler. A group's name says nothing to a person.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }
