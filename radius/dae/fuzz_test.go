package dae

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"slices"
	"testing"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"pgregory.net/rapid"
)

// seal makes the octets an authentic, dated request where they are a packet,
// so that fuzzing gets behind the checks.
func seal(b []byte) []byte {
	if len(b) < headerLen {
		return b
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	clear(b[4:headerLen])
	sum := md5.Sum(append(slices.Clone(b), testSecret...))
	copy(b[4:], sum[:])
	return b
}

// FuzzRequest feeds authentic nonsense and plain nonsense to the whole path.
func FuzzRequest(f *testing.F) {
	b := newBench(&testing.T{}, nil)
	for _, d := range []*draft{
		b.disconnect(session(phone.ID)), b.coa(user("bob"), number(rfc2865.SessionTimeout_Type, 60)),
		b.coa(session(phone.ID), attr(26, "\x00\x00\x37\x2a\x07\x06\x00\x01\x00\x00")),
		b.disconnect(attr(rfc2865.CallingStationID_Type, "198.51.100.1[4500]"), attr(97, "\x00\x80abc")),
	} {
		d.unsigned = true
		f.Add(d.wire(), true)
		f.Add(d.wire(), false)
	}
	f.Fuzz(func(t *testing.T, packet []byte, authentic bool) {
		b := newBench(t, func(c *Client) { c.AllowUnsigned, c.AllowUndated = true, true })
		if authentic {
			packet = seal(bytes.Clone(packet[:min(len(packet), codec.MaxPacketLength)]))
		}
		before := bytes.Clone(packet)
		got := b.send(packet, source{addr: campus})
		if !bytes.Equal(before, packet) {
			t.Error("the packet was changed")
		}
		if got == nil {
			if len(b.gateway.ended)+len(b.gateway.changed) > 0 && b.Figures().Discarded["unanswerable"] == 0 {
				t.Error("an effect without an answer")
			}
			return
		}
		a, err := verifyAnswer(got, packet, testSecret)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged := a.code == codec.CodeDisconnectACK || a.code == codec.CodeCoAACK
		if done := len(b.gateway.ended)+len(b.gateway.changed) > 0; done != acknowledged || acknowledged != (a.cause() == 0) {
			t.Errorf("answered %s with Error-Cause %d, ended %v, changed %v", a.code, a.cause(), b.gateway.ended, b.gateway.changed)
		}
	})
}

// More attributes never make a request true of more sessions.
func TestQueryOnlyNarrows(t *testing.T) {
	all := []Session{phone, laptop, desk}
	attributes := []*codec.AVP{
		session(phone.ID), session(laptop.ID), user("alice"), user("bob"), attr(50, "m1"), station4("198.51.100.1"),
		station4("198.51.100.1[4500]"), number(rfc2865.NASPort_Type, 1), attr(rfc2865.Class_Type, "staff"), attr(8, "\x0a\x00\x00\x01"),
	}
	rapid.Check(t, func(t *rapid.T) {
		var q Query
		matched := len(all)
		for _, a := range rapid.SliceOfN(rapid.SampledFrom(attributes), 1, 5).Draw(t, "attributes") {
			if identifiers[a.Type](&q, a.Attribute) != 0 {
				return
			}
			n := 0
			for i := range all {
				if q.True(&all[i]) {
					n++
				}
			}
			if n > matched {
				t.Fatalf("%d sessions after %d", n, matched)
			}
			matched = n
		}
	})
}

// FuzzStation holds that whatever reads as a station is an address.
func FuzzStation(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1[4500]", "192.0.2.1:4500", "[2001:db8::1]:1", "2001:db8::1[65535]", "192.0.2.1[0]", "1[", "::ffff:192.0.2.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := parseStation(s); ok && (!a.Addr().IsValid() || a.Addr().Is4In6()) {
			t.Errorf("%q read as %v", s, a)
		}
	})
}
