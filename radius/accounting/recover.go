package accounting

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"

	bolt "go.etcd.io/bbolt"

	"bridgehead/auth"
)

// recover reads what the last start left, ends the sessions that were open
// then, and begins an epoch.
func (s *Spool) recover(tx *bolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	var number uint64
	if v := meta.Get(keyEpoch); len(v) == 8 {
		number = binary.BigEndian.Uint64(v)
	}
	number++
	byNumber := map[uint64]*epoch{}
	at := func(n uint64) *epoch {
		if byNumber[n] == nil {
			byNumber[n] = &epoch{number: n}
		}
		return byNumber[n]
	}
	if err := s.recoverSessions(tx, at); err != nil {
		return err
	}
	if err := s.recoverMarks(tx, at); err != nil {
		return err
	}
	on := record{Kind: kindOn, Time: s.config.Now(), Mark: s.name}
	if err := tx.Bucket(bucketMarks).Put(markKey(number, kindOn), encode(on)); err != nil {
		return err
	}
	s.addMark(at(number), on)
	for _, e := range byNumber {
		s.epochs = append(s.epochs, e)
	}
	sortEpochs(s.epochs)
	return meta.Put(keyEpoch, binary.BigEndian.AppendUint64(nil, number))
}

// recoverSessions reads the sessions and their records. What can't be read is
// reported and left alone.
func (s *Spool) recoverSessions(tx *bolt.Tx, at func(uint64) *epoch) error {
	var open []*account
	err := tx.Bucket(bucketSessions).ForEach(func(k, v []byte) error {
		e, err := parse[entry](v)
		if err != nil || e.Session.ID != string(k) {
			s.unreadable(k, err)
			return nil
		}
		a := &account{id: e.Session.ID, epoch: at(e.Epoch), size: cost(v) + stopCost, began: e.Session.Began, since: s.config.Now()}
		a.epoch.accounts++
		s.accounts[a.id] = a
		s.recoverRecords(tx, a)
		s.used += a.size
		if !a.over {
			open = append(open, a)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range open {
		if err := s.stopCrashed(tx, a); err != nil {
			return err
		}
	}
	return nil
}

// recoverRecords counts the records of a session.
func (s *Spool) recoverRecords(tx *bolt.Tx, a *account) {
	prefix := append([]byte(a.id), 0)
	c := tx.Bucket(bucketRecords).Cursor()
	first := true
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		_, n, err := readRecordKey(k)
		if err != nil {
			continue
		}
		r, err := parse[record](v)
		if err != nil {
			s.unreadable(k, err)
			continue
		}
		if first {
			a.next, a.since, first = n, r.Time, false
		}
		a.numbered, a.end = n+1, n+1
		if r.Kind != kindStop {
			a.size += cost(v)
		}
		switch r.Kind {
		case kindStop:
			a.over = true
			s.ended.push(item{account: a})
		case kindInterim:
			s.interims.push(item{a, n})
		}
	}
	if first { // all were answered; the numbers before are not known any more
		a.next, a.numbered, a.end = firstAfter, firstAfter, firstAfter
	}
}

// firstAfter is the number of the first record that comes after a crash of a
// session whose records were all answered: higher than any before.
const firstAfter = 1 << 31

// stopCrashed ends a session that was open when the gateway crashed, with what
// was known of it last, as of then.
func (s *Spool) stopCrashed(tx *bolt.Tx, a *account) error {
	last := note{Time: a.began}
	if v := tx.Bucket(bucketNotes).Get([]byte(a.id)); v != nil {
		if n, err := parse[note](v); err != nil {
			s.unreadable([]byte(a.id), err)
		} else {
			last = n
		}
	}
	a.over = true
	n := a.numbered
	a.numbered, a.end = n+1, n+1
	if a.next == n {
		a.since = last.Time
	}
	s.ended.push(item{account: a})
	s.config.Log.Warn("session was open when the gateway crashed: it gets its Accounting-Stop",
		slog.String("session", a.id), slog.Duration("lasted", last.Lasted), slog.Any("totals", last.Totals))
	s.figures.Crashed++
	r := record{Kind: kindStop, Time: last.Time, Lasted: last.Lasted, Totals: last.Totals, Cause: causeCrash}
	a.totals, a.noted = last.Totals, last.Totals
	return tx.Bucket(bucketRecords).Put(recordKey(a.id, n), encode(r))
}

func (s *Spool) recoverMarks(tx *bolt.Tx, at func(uint64) *epoch) error {
	return tx.Bucket(bucketMarks).ForEach(func(k, v []byte) error {
		number, kind, err := readMarkKey(k)
		if err == nil {
			var r record
			if r, err = parse[record](v); err == nil && r.Kind == kind {
				s.addMark(at(number), r)
				return nil
			}
		}
		s.unreadable(k, err)
		return nil
	})
}

// addMark adds On or Off to an epoch.
func (s *Spool) addMark(e *epoch, r record) *account {
	a := &account{mark: r.Kind, epoch: e, end: 1, numbered: 1, since: r.Time}
	if r.Kind == kindOn {
		e.on = a
	} else {
		e.off = a
	}
	return a
}

// unreadable reports what the file holds and nobody can read.
func (s *Spool) unreadable(key []byte, err error) {
	s.figures.Unreadable++
	s.config.Log.Error("an accounting record can't be read and is not sent", slog.String("file", s.config.Path),
		slog.String("key", fmt.Sprintf("%.60q", key)), slog.Any("error", err))
}

var _ auth.Accountant = (*Spool)(nil)
