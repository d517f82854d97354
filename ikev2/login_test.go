package ikev2

import (
	"testing"
)

func TestLoginGivesBothEndsTheSameChildSA(t *testing.T) {
	w := newWorld(t, 1, nil)
	c := w.newDevice(nil).mustLogin()
	ours := w.plane.only(t)
	theirs, ok := c.sa.Child()
	if !ok {
		t.Fatal("the client has no Child SA")
	}
	if string(ours.In.EncrKey) != string(theirs.Out.EncrKey) || string(ours.Out.EncrKey) != string(theirs.In.EncrKey) {
		t.Error("the keys differ")
	}
	if ours.In.SPI != theirs.Out.SPI || ours.Out.SPI != theirs.In.SPI || ours.In.Suite != theirs.Out.Suite {
		t.Errorf("SPIs or suites differ: %+v %+v", ours, theirs)
	}
}
