package ikev2

import (
	"fmt"
	"testing"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// TestClientIsToDrawAnotherSPI where the data plane cannot tell two clients
// behind one address apart: its session stays, and the next SPI is taken.
func TestClientIsToDrawAnotherSPI(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	old := p.childSPI
	w.plane.fail = fmt.Errorf("kernel: %w", esp.ErrSPIInUse)
	p.childSPI = []byte{0xc0, 0, 0, 7}
	wantNotify(t, "an SPI in use", p.request(message.ExchangeCreateChildSA, p.childMessage(old)...), message.TemporaryFailure)
	p.wantState("after it", StateEstablished)
	w.plane.only(t)
	rs := w.refusals()
	if len(rs) != 1 || rs[0].Cause != CauseSPIInUse || rs[0].Text == "" || rs[0].Advice == "" {
		t.Errorf("refusals %s", describeRefusals(rs))
	}
	w.plane.fail = nil
	p.childSPI = []byte{0xc0, 0, 0, 8}
	if answer := p.request(message.ExchangeCreateChildSA, p.childMessage(old)...); message.FindTS(answer, true) == nil {
		t.Errorf("with another SPI: %s", describe(answer))
	}
}
