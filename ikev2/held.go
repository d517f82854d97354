package ikev2

import "time"

// maxDelay bounds how late an answer may be: clients give up on a request
// after some fifteen seconds.
const maxDelay = 8 * time.Second

// held is a backend's step that is to be answered later. Meanwhile the request
// is in progress as with a job, so that its repetitions are absorbed, and the
// login counts as half open; no goroutine waits.
type held struct {
	step  *eapStep // nil: none is
	until time.Time
}

// hold keeps a step until its delay is over.
func (sa *SA) hold(now time.Time, j *eapStep) {
	sa.login.held = held{j, now.Add(min(j.step.Delay, maxDelay))}
}

// heldDeadline is when a step that is held goes out; zero: none is.
func (sa *SA) heldDeadline() time.Time {
	if sa.login == nil {
		return time.Time{}
	}
	return sa.login.held.until
}

func (sa *SA) answerIsDue(now time.Time) bool {
	due := sa.heldDeadline()
	return !due.IsZero() && !now.Before(due)
}

// letGo answers with the step that was held.
func (sa *SA) letGo(now time.Time, out *Outbox) {
	j := sa.login.held.step
	sa.login.held = held{}
	j.step.Delay = 0
	sa.answerEAP(now, j, out)
}
