package ikev2

import (
	"maps"
	"slices"
	"testing"
	"time"

	"bridgehead/ikev2/initiator"
)

// stir has one more thing happen among clients with MOBIKE and a gateway that
// rekeys.
func (w *world) stir() {
	if len(w.clients) == 0 || w.rand.IntN(8) == 0 {
		w.newRoamer(func(c *initiator.Config) {
			c.Identity, c.InitialContact = fqdn([]string{"phone", "laptop"}[w.rand.IntN(2)]), w.rand.IntN(2) == 0
		}).start()
		return
	}
	d := w.clients[w.rand.IntN(len(w.clients))]
	switch w.rand.IntN(12) {
	case 0: // leaves without a word
		d.roams.homes = nil
	case 1:
		d.handle(initiator.Delete{})
	case 2:
		w.gateway.disconnect(w.now, CauseOperator, func(sa *SA) bool { return sa.session.id[0]%2 == 0 })
	case 3:
		if ids := slices.Sorted(maps.Keys(w.plane.children)); len(ids) > 0 {
			id := ids[w.rand.IntN(len(ids))]
			w.gateway.tellChild(w.now, id, []Event{Lost{id}, Exhausting{id}}[w.rand.IntN(2)])
		}
	case 4, 5:
		if len(d.roams.homes) > 0 {
			d.move(d.roams.somewhere(w.rand))
		}
	case 6, 7:
		d.handle(initiator.RekeyChild{KE: w.rand.IntN(2) == 0})
	case 8, 9:
		d.handle(initiator.RekeyIKE{})
	default:
		w.packets(d)
	}
	w.flush()
}

// The same where the gateway rekeys too, clients move by MOBIKE, and the data
// plane loses Child SAs; in half of the worlds the gateway ends in the midst of
// it.
func TestDisorderOfMovesAndRekeys(t *testing.T) {
	sessions := 0
	for seed := range uint64(200) {
		w, u := disorder(t, seed, func(c *Config) {
			c.Unique = []Unique{UniqueNo, UniqueReplace, UniqueKeep}[seed%3]
			c.ForceEncapIPv4 = seed%4 < 2
			c.Rekey = Rekey{Child: 15 * time.Second, IKE: 40 * time.Second}
		})
		for range 40 {
			w.stir()
			w.run(time.Duration(w.rand.IntN(3000))*time.Millisecond, nil)
			w.mustAgree()
		}
		if seed%2 == 0 {
			w.gateway.closing = true
			w.gateway.disconnect(w.now, CauseShutdown, func(*SA) bool { return true })
			w.flush()
		}
		if w.mustLeaveNothing(u); t.Failed() {
			return
		}
		sessions += w.count(EventUp)
	}
	if sessions < 200 {
		t.Errorf("%d sessions in all: they hardly get under way", sessions)
	}
}
