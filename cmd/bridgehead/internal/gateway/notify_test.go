package gateway

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/coreos/go-systemd/v22/daemon"
)

func TestSystemdIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	g := &Gateway{logger: slog.New(slog.DiscardHandler)}
	for _, state := range []string{daemon.SdNotifyReady, "STATUS=2 sessions\n" + daemon.SdNotifyWatchdog} {
		g.tellSystemd(state)
		b := make([]byte, 256)
		n, err := l.Read(b)
		if err != nil || string(b[:n]) != state {
			t.Errorf("got %q %v, want %q", b[:n], err, state)
		}
	}
}
