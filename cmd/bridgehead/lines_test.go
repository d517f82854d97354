package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestLogInQuickstartsOwnLines(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLineHandler(&out)).With(slog.String("session", "00aa"))
	log.Info("ready")
	log.Warn("nothing to see")
	log.WithGroup("g").Error("session failed", slog.Any("error", errors.New("b.toml:1:1: no\n1 error\x1b[2J")), slog.Group("who", slog.String("user", "alice")))
	clock, line, _ := strings.Cut(out.String(), "  ")
	if want := "err  session failed, session 00aa: b.toml:1:1: no; 1 error?[2J\n"; line != want || len(clock) != len("15:04:05") {
		t.Errorf("got %q, want the time and %q", out.String(), want)
	}
}

func TestProgramIsNamedAsItWasCalled(t *testing.T) {
	for _, c := range []struct {
		name string
		sudo bool
		want string
	}{
		{"bridgehead", false, "bridgehead"},
		{"./bridgehead", true, "sudo ./bridgehead"},
		{"/tmp/go-build123/b001/exe/bridgehead", true, "sudo go run ./cmd/bridgehead"},
	} {
		if got := programCalled(c.name, c.sudo); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
