package radius_test

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc4372"

	"bridgehead/auth"
	"bridgehead/radius/accounting"
)

// desk is a server that answers every record and keeps it.
type desk struct {
	mu      sync.Mutex
	records []codec.Attributes
}

// Account implements accounting.Sender.
func (d *desk) Account(_ context.Context, attrs codec.Attributes) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, attrs)
	return nil
}

// Answering implements accounting.Sender.
func (d *desk) Answering() bool { return true }

// of gives the session's records of one kind.
func (d *desk) of(session string, kind rfc2866.AcctStatusType) (found []codec.Attributes) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		if string(r.Get(rfc2866.AcctSessionID_Type)) == session && binary.BigEndian.Uint32(r.Get(rfc2866.AcctStatusType_Type)) == uint32(kind) {
			found = append(found, r)
		}
	}
	return found
}

// keep has one session a cause recorded, from Start to Stop.
func keep(t *testing.T, causes map[string]auth.Cause) *desk {
	t.Helper()
	d := new(desk)
	spool, err := accounting.Open(accounting.Config{
		Path: filepath.Join(t.TempDir(), "accounting.db"), Sender: d,
		NAS: accounting.NAS{Identifier: "vpn.example.org", Authentic: rfc2866.AcctAuthentic_Value_RADIUS},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- spool.Run(ctx) }()
	for id, cause := range causes {
		s := aSession(id)
		s.ChargeableUser = []byte("cui")
		if err := spool.Start(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := spool.Stop(t.Context(), id, auth.Totals{}, auth.End{Cause: cause, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	bound, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if err := spool.Shut(bound); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := spool.Close(); err != nil {
		t.Error(err)
	}
	return d
}

// Start and Stop say what tells one session, one login and one moment from
// another, and the same in both.
func TestRecordsSayAllThatAServerCanUse(t *testing.T) {
	const id = "0123456789abcdef"
	d := keep(t, map[string]auth.Cause{id: "client-disconnected"})
	starts, stops := d.of(id, rfc2866.AcctStatusType_Value_Start), d.of(id, rfc2866.AcctStatusType_Value_Stop)
	if len(starts) != 1 || len(stops) != 1 {
		t.Fatalf("%d Starts, %d Stops", len(starts), len(stops))
	}
	for _, r := range []codec.Attributes{starts[0], stops[0]} {
		for name, of := range map[string]codec.Type{"Event-Timestamp": rfc2869.EventTimestamp_Type, "Acct-Delay-Time": rfc2866.AcctDelayTime_Type} {
			if len(r.Get(of)) != 4 {
				t.Errorf("%s is %x", name, r.Get(of))
			}
		}
		for name, want := range map[string]struct {
			of    codec.Type
			value string
		}{
			"Acct-Multi-Session-Id":    {rfc2866.AcctMultiSessionID_Type, id},
			"Acct-Authentic":           {rfc2866.AcctAuthentic_Type, "\x00\x00\x00\x01"},
			"Connect-Info":             {rfc2869.ConnectInfo_Type, "IKEv2 windows aes256-sha256-modp2048 " + id},
			"NAS-Port":                 {rfc2865.NASPort_Type, string(codec.NewInteger(auth.Port(id)))},
			"Chargeable-User-Identity": {rfc4372.ChargeableUserIdentity_Type, "cui"},
			"Calling-Station-Id":       {rfc2865.CallingStationID_Type, "198.51.100.9"},
		} {
			if got := string(r.Get(want.of)); got != want.value {
				t.Errorf("%s is %q, want %q", name, got, want.value)
			}
		}
	}
}

// Why a session ended has its own value each (RFC 2866 §5.10).
func TestTerminateCauses(t *testing.T) {
	causes := map[string]auth.Cause{
		"1": "client-disconnected", "2": "lost-carrier", "3": "child-sa-lost", "4": "idle-timeout", "5": "session-timeout",
		"6": "operator-disconnect", "6d": "radius-disconnect", "7": "gateway-shutdown",
	}
	d := keep(t, causes)
	for id, cause := range causes {
		stops := d.of(id, rfc2866.AcctStatusType_Value_Stop)
		if len(stops) != 1 {
			t.Errorf("%s: %d Stops", cause, len(stops))
			continue
		}
		if got, want := stops[0].Get(rfc2866.AcctTerminateCause_Type), []byte{0, 0, 0, id[0] - '0'}; !slices.Equal(got, want) {
			t.Errorf("%s: Acct-Terminate-Cause %x, want %x", cause, got, want)
		}
	}
}
