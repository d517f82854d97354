package accounting

import (
	"testing"
	"time"

	"bridgehead/auth"
)

// On precedes the sessions, each has its records in order, Off comes last.
func TestOrder(t *testing.T) {
	bubble(t, nil, func(s *scene) {
		s.start("a", "b")
		s.end("a", auth.Totals{})
		s.settle(time.Second)
		s.wantStory("on start:a start:b stop:a")
		s.end("b", auth.Totals{})
		if err := s.Shut(s.Context()); err != nil {
			s.Error(err)
		}
		s.wantStory("on start:a start:b stop:a stop:b off")
	})
}
