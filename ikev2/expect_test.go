package ikev2

import (
	"context"
	"slices"
	"testing"

	"bridgehead/ikev2/esp"
)

// expectingPlane is a data plane that receives on a Child SA's path alone.
type expectingPlane struct {
	*fakePlane
	expected []esp.Path // guarded by fakePlane.mu
}

func (p *expectingPlane) Expect(_ context.Context, _ esp.ChildID, path esp.Path) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.ContainsFunc(p.expected, func(o esp.Path) bool { return o == path }) {
		return nil
	}
	p.expected = append(p.expected, path)
	return nil
}

// TestMoveIsExpectedBeforeItIsAnswered where the client comes to another address
// of the gateway's, and only there.
func TestMoveIsExpectedBeforeItIsAnswered(t *testing.T) {
	var plane *expectingPlane
	w := newWorld(t, 1, func(c *Config) {
		plane = &expectingPlane{fakePlane: c.Plane.(*fakePlane)}
		c.Plane = plane
	})
	p := w.mobile()
	p.goTo(awayV4).update(awayV4)
	if len(plane.expected) != 0 {
		t.Errorf("at the same address it expects %v", plane.expected)
	}
	p.echo = nil // the path is not proven: the Child SAs stay where they are
	p.goTo(awayV6).update(awayV6)
	want := esp.Path{Local: p.to, Remote: awayV6}
	if !slices.Equal(plane.expected, []esp.Path{want}) {
		t.Errorf("it expects %v, want %v", plane.expected, want)
	}
	p.wantPath("before the check", awayV4, true)
}
