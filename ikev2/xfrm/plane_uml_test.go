//go:build uml

package xfrm

import (
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/esp/planetest"
)

func TestDataPlane(t *testing.T) {
	for _, outer := range []netip.Addr{here4, here6} {
		t.Run(outer.String(), func(t *testing.T) {
			planetest.Run(t, func(t *testing.T) planetest.Subject {
				return newWorld(t).subject(outer, Config{RekeyGrace: time.Hour})
			})
		})
	}
}

func TestProbeFindsAll(t *testing.T) {
	c, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Capabilities{true, true, true, true, true, true, true, true}); c != want {
		t.Errorf("the kernel can do %+v", c)
	}
}
