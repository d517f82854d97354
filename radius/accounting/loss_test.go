package accounting

import (
	"fmt"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	codec "layeh.com/radius"

	"bridgehead/auth"
)

// An open session whose only waiting record, an interim, was dropped at the limit keeps its Stop.
func TestADroppedInterimDoesNotCostTheStop(t *testing.T) {
	bubble(t, func(c *Config) { c.Limit, c.Interim = tight, time.Minute }, func(s *scene) {
		s.settle(time.Second)
		s.start("long")
		s.settle(5 * time.Second)
		s.server.set(down)
		s.carries("long", Progress{Totals: auth.Totals{BytesIn: 9}})
		s.settle(3 * time.Minute)
		for n := 0; s.Figures().DroppedInterims < 3 && n < 1000; n++ {
			if s.Start(s.Context(), session(fmt.Sprint("new", n))) != nil {
				break
			}
		}
		s.mu.Lock()
		delete(s.usage, "long") // no newer report hides it
		s.mu.Unlock()
		s.settle(10 * time.Second)
		s.server.set(up)
		s.settle(10 * time.Minute)
		err := s.Stop(s.Context(), "long", auth.Totals{BytesIn: 10}, auth.End{Cause: "client-disconnected", Time: time.Now()})
		if err != nil {
			s.Errorf("Stop: %v", err)
		}
		s.settle(time.Minute)
		s.server.only(s.T, kindStop, "long")
	})
}

// One damaged interim does not take the Stop with it.
func TestADamagedInterimDoesNotCostTheStop(t *testing.T) {
	bubble(t, func(c *Config) { c.Interim = time.Minute }, func(s *scene) {
		s.start("a")
		s.settle(5 * time.Second)
		s.server.set(down)
		s.carries("a", Progress{Totals: auth.Totals{BytesIn: 9}})
		s.settle(3 * time.Minute)
		s.end("a", auth.Totals{BytesIn: 10})
		s.stop()
		if err := s.store.db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(bucketRecords).Put(recordKey("a", 2), []byte("{broken"))
		}); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s.open()
		s.server.set(up)
		s.settle(10 * time.Minute)
		s.server.only(s.T, kindStop, "a")
	})
}

// What was answered does not stay in memory behind one record that nobody takes.
func TestNothingPilesUpBehindARecordThatNobodyTakes(t *testing.T) {
	bubble(t, func(c *Config) { c.Interim = time.Minute }, func(s *scene) {
		s.server.set(func(v *server) {
			v.alive = true
			v.refuse = func(a codec.Attributes) bool { return idOf(a) == "bad" && kindOf(a) != kindStart }
		})
		s.start("bad")
		s.carries("bad", Progress{Totals: auth.Totals{BytesIn: 9}})
		s.settle(3 * time.Minute)
		s.end("bad", auth.Totals{BytesIn: 10})
		s.settle(2 * time.Hour)
		for n := range 500 {
			id := fmt.Sprint("n", n)
			s.start(id)
			s.settle(time.Second)
			s.end(id, auth.Totals{})
			s.settle(time.Second)
		}
		s.settle(time.Minute)
		s.Spool.mu.Lock()
		defer s.Spool.mu.Unlock()
		if len(s.ended.items) > leastSweep {
			t.Errorf("%d ended sessions are held, all but one answered", len(s.ended.items))
		}
	})
}
