package accounting

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"bridgehead/auth"
)

// kind is what a record says, in the numbers of Acct-Status-Type (RFC 2866
// §5.1).
type kind uint8

const (
	kindStart   kind = 1
	kindStop    kind = 2
	kindInterim kind = 3
	kindOn      kind = 7
	kindOff     kind = 8
)

var kindNames = map[kind]string{kindStart: "start", kindStop: "stop", kindInterim: "interim", kindOn: "on", kindOff: "off"}

func (k kind) String() string { return kindNames[k] }

// entry is a session on disk.
type entry struct {
	Epoch   uint64
	Session auth.Session
}

// record is one packet to be sent, on disk.
type record struct {
	Kind   kind
	Time   time.Time     // of what happened
	Lasted time.Duration // the session, until then
	Totals auth.Totals
	Cause  auth.Cause `json:",omitempty"` // of a Stop
	Mark   string     `json:",omitempty"` // of On and Off: what names the epoch
}

// note is what was last known of a session that is up, on disk.
type note struct {
	Time   time.Time
	Lasted time.Duration
	Totals auth.Totals
}

const (
	// maxID is the longest session id: that of an attribute.
	maxID   = 253
	numbers = 4 // octets of a record's number in its key
)

// recordKey puts the records of a session beside each other, in their order.
func recordKey(id string, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(id), 0), n)
}

// readRecordKey is the reverse.
func readRecordKey(k []byte) (id string, n uint32, err error) {
	i := len(k) - numbers - 1
	if i <= 0 || i > maxID || k[i] != 0 || bytes.IndexByte(k[:i], 0) >= 0 {
		return "", 0, errors.New("not the key of a record")
	}
	return string(k[:i]), binary.BigEndian.Uint32(k[i+1:]), nil
}

// markKey puts On before Off, and the epochs in their order.
func markKey(epoch uint64, k kind) []byte {
	return append(binary.BigEndian.AppendUint64(nil, epoch), byte(k))
}

func readMarkKey(key []byte) (epoch uint64, k kind, err error) {
	if len(key) != 9 || kind(key[8]) != kindOn && kind(key[8]) != kindOff {
		return 0, 0, errors.New("not the key of a mark")
	}
	return binary.BigEndian.Uint64(key), kind(key[8]), nil
}

// checkID refuses what can't be a session's name in the spool.
func checkID(id string) error {
	if id == "" || len(id) > maxID || strings.IndexByte(id, 0) >= 0 {
		return fmt.Errorf("accounting: %.40q is no session id; expected 1 to %d octets without a zero", id, maxID)
	}
	return nil
}

// parse reads what is on disk.
func parse[T interface{ valid() error }](b []byte) (t T, err error) {
	if err := json.Unmarshal(b, &t); err != nil {
		return t, err
	}
	return t, t.valid()
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // a time out of its range is all that can fail
		panic("accounting: " + err.Error())
	}
	return b
}

func (e entry) valid() error { return checkID(e.Session.ID) }

func (r record) valid() error {
	switch {
	case kindNames[r.Kind] == "":
		return fmt.Errorf("a record of kind %d", r.Kind)
	case r.Lasted < 0:
		return fmt.Errorf("a session that lasted %v", r.Lasted)
	}
	return nil
}

func (n note) valid() error {
	if n.Lasted < 0 {
		return fmt.Errorf("a session that lasted %v", n.Lasted)
	}
	return nil
}

// most is the higher of each: what a session carried never becomes less.
func most(a, b auth.Totals) auth.Totals {
	return auth.Totals{
		BytesIn: max(a.BytesIn, b.BytesIn), BytesOut: max(a.BytesOut, b.BytesOut),
		PacketsIn: max(a.PacketsIn, b.PacketsIn), PacketsOut: max(a.PacketsOut, b.PacketsOut),
	}
}
