package guard

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"bridgehead/auth"
)

var (
	start    = time.Unix(1_800_000_000, 0)
	settings = Settings{PerAddress: 6, PerUser: 4, Total: 1000, Window: 10 * time.Minute}
	home     = netip.MustParseAddr("192.0.2.7")
	hostile  = netip.MustParseAddr("198.51.100.9")
)

// guess is a wrong password; it gives why it was refused unasked, if it was.
func guess(g *Guard, now time.Time, from netip.Addr, user string) auth.Cause {
	_, cause := g.admit(now, from, userOf(user))
	return cause
}

func TestLimitsByAddressUserAndInAll(t *testing.T) {
	g := New(settings)
	for i := range settings.PerUser {
		if cause := guess(g, start, hostile, "alice"); cause != "" {
			t.Fatalf("guess %d: %s", i, cause)
		}
	}
	if cause := guess(g, start, hostile, `CORP\Alice`); cause != auth.CauseGuessingUser {
		t.Errorf("another form of the name: %q", cause)
	}
	guess(g, start, hostile, "bob")
	guess(g, start, hostile, "carl")
	if cause := guess(g, start, hostile, "dora"); cause != auth.CauseGuessingAddress {
		t.Errorf("another name: %q", cause)
	}
	if cause := guess(g, start.Add(settings.Window), hostile, "alice"); cause != "" {
		t.Errorf("after the window: %q", cause)
	}
	g.settings.Total = 1
	if cause := guess(g, start.Add(settings.Window), home, "erin"); cause != auth.CauseGuessingTotal {
		t.Errorf("in all: %q", cause)
	}
}

func TestAnOutsiderShutsOutNobodyWhoWasThereBefore(t *testing.T) {
	g := New(settings)
	a, _ := g.admit(start, home, "alice")
	g.undo(start, a)
	g.login(start, home, "alice")
	for i := range 100_000 {
		b := [4]byte{10}
		binary.BigEndian.PutUint16(b[2:], uint16(i))
		guess(g, start, netip.AddrFrom4(b), "alice")
	}
	if _, cause := g.admit(start, home, "alice"); cause != "" {
		t.Errorf("alice at home: %s", cause)
	}
	if _, cause := g.admit(start, netip.MustParseAddr("203.0.113.1"), "alice"); cause == "" {
		t.Error("a stranger's guess for alice passed")
	}
}

func BenchmarkWrongPassword(b *testing.B) {
	g := New(settings)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a := [4]byte{10}
		binary.BigEndian.PutUint16(a[2:], uint16(i))
		guess(g, start, netip.AddrFrom4(a), "alice")
	}
}
