package peers

import (
	"fmt"
	"sync"
	"testing"

	"bridgehead/auth/guard"
)

// TestGuessingShutsOutNobody has a stranger try passwords with strongSwan until
// the guard refuses them unasked, the right one, too. Who logged in before from
// elsewhere still does.
func TestGuessingShutsOutNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "[ike]\nhalf_open_per_address = 100\n") // lest it be what keeps the stranger out
	server := s.outside.IPv4.String()
	home, stranger := s.newClient(t, "home"), s.newClient(t, "stranger")
	s.swanctl(t, home, connection{server: server}.String())
	login := func() {
		t.Helper()
		home.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		home.charon.Swanctl("--terminate", "--ike", "home")
		s.nobodyIn(t)
	}
	login()

	// From two places: every attempt that waits holds a thread of charon's.
	var all sync.WaitGroup
	for _, c := range []*client{stranger, s.newClient(t, "another")} {
		c.settings = "  reuse_ikesa = no" // else one attempt waits for the other
		guesses := guard.Defaults().PerUser/2 + 1
		var list []string
		for i := range guesses {
			list = append(list, connection{name: fmt.Sprintf("guess%d", i), server: server, password: "wrong battery"}.String())
		}
		s.swanctl(t, c, list...)
		for i := range guesses {
			all.Go(func() {
				if out, err := c.charon.TrySwanctl("--initiate", "--child", fmt.Sprintf("guess%d", i), "--timeout", "30"); err == nil {
					t.Errorf("a wrong password passed:\n%s", out)
				}
			})
		}
	}
	all.Wait()
	stranger.charon.Load(connection{server: server}.String())
	if out, err := stranger.charon.TrySwanctl("--initiate", "--child", "home", "--timeout", "30"); err == nil {
		t.Errorf("the stranger found the password:\n%s", out)
	}
	r := s.newest(t, "too-many-wrong-for-user")
	if r.User != user || r.Text == "" || r.Advice == "" || !r.shows(stranger.uplink.IPv4.String()) {
		t.Errorf("explained as %+v", r)
	}
	login()
}
