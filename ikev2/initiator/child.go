package initiator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// child is one Child SA.
type child struct {
	esp       esp.Child
	installed bool // in the data plane
}

// agreement is what the exchange that makes a Child SA settles.
type agreement struct {
	choice     suite.Choice
	spiIn      uint32 // ours
	shared     suite.Secret
	ni, nr     []byte // of the exchange
	byUs       bool   // we began it
	tsi, tsr   []message.Selector
	generation *generation
}

// newChild derives the keys and fills in what a data plane needs.
func (sa *SA) newChild(a agreement) (*child, error) {
	algorithms, err := a.choice.ESP()
	if err != nil {
		return nil, err
	}
	if len(a.choice.SPI) != 4 || binary.BigEndian.Uint32(a.choice.SPI) == 0 {
		return nil, fmt.Errorf("ikev2: ESP proposal with SPI %x, expected 4 octets", a.choice.SPI)
	}
	id, err := sa.randomOctets(4)
	if err != nil {
		return nil, err
	}
	keys := algorithms.Derive(a.generation.suite.PRF, a.generation.keys.D, a.shared, a.ni, a.nr)
	in := esp.SA{SPI: a.spiIn, Suite: algorithms, EncrKey: keys.ResponderEncr, IntegKey: keys.ResponderInteg}
	out := esp.SA{SPI: binary.BigEndian.Uint32(a.choice.SPI), Suite: algorithms, EncrKey: keys.InitiatorEncr, IntegKey: keys.InitiatorInteg}
	local, remote := a.tsi, a.tsr
	if !a.byUs {
		in.EncrKey, in.IntegKey, out.EncrKey, out.IntegKey = out.EncrKey, out.IntegKey, in.EncrKey, in.IntegKey
		local, remote = a.tsr, a.tsi
	}
	sa.result.ESP = a.choice.String()
	return &child{esp: esp.Child{
		// The SPI alone may come again while the data plane lives.
		ID:      esp.ChildID(uint64(binary.BigEndian.Uint32(id))<<32 | uint64(a.spiIn)),
		Session: sa.ike.spii.String(),
		In:      in, Out: out, Path: sa.espPath(), Local: local, Remote: remote,
	}}, nil
}

// espPath is where the Child SA's packets run.
func (sa *SA) espPath() esp.Path {
	local, remote := sa.path()
	return esp.Path{Local: local, Remote: remote, Encap: sa.natt && (sa.natLocal || sa.natRemote)}
}

// firstChild takes the Child SA out of the last IKE_AUTH answer (RFC 7296
// §1.2). Its nonces are those of IKE_SA_INIT.
func (sa *SA) firstChild(ps []message.Payload) error {
	l := sa.login
	offer, tsi, tsr := message.Find[*message.SA](ps), message.FindTS(ps, false), message.FindTS(ps, true)
	if offer == nil {
		return missing(StepFinal, "SA")
	}
	choice, err := accept(StepFinal, message.ProtocolESP, l.esp, offer)
	if err != nil {
		return err
	}
	if err := checkSelectors(StepFinal, tsi, tsr, sa.cfg.LocalSelectors, sa.cfg.RemoteSelectors); err != nil {
		return err
	}
	sa.child, err = sa.newChild(agreement{
		choice: choice, spiIn: l.childSPI, ni: l.nonce, nr: l.peerNonce, byUs: true,
		tsi: cloneSelectors(tsi), tsr: cloneSelectors(tsr), generation: sa.ike,
	})
	if err != nil {
		return &ProtocolError{at{StepFinal}, err}
	}
	sa.result.LocalSelectors, sa.result.RemoteSelectors = sa.child.esp.Local, sa.child.esp.Remote
	return nil
}

func cloneSelectors(ts *message.TS) []message.Selector { return slices.Clone(ts.Selectors) }

// checkSelectors refuses selectors that are not there or are no subset of
// those asked for (RFC 7296 §2.9).
func checkSelectors(s Step, tsi, tsr *message.TS, askedI, askedR []message.Selector) error {
	switch {
	case tsi == nil:
		return missing(s, "TSi")
	case tsr == nil:
		return missing(s, "TSr")
	case !within(tsi.Selectors, askedI) || !within(tsr.Selectors, askedR):
		return &ProtocolError{at{s}, errors.New("ikev2: its traffic selectors are no subset of those asked for")}
	}
	return nil
}

// within reports whether each of the selectors lies in one of those asked for.
func within(given, asked []message.Selector) bool {
	for _, g := range given {
		if g.Raw != nil || !slices.ContainsFunc(asked, func(a message.Selector) bool {
			return a.Start.Is4() == g.Start.Is4() && a.Start.Compare(g.Start) <= 0 && g.End.Compare(a.End) <= 0 &&
				(a.Protocol == 0 || a.Protocol == g.Protocol) && a.StartPort <= g.StartPort && g.EndPort <= a.EndPort
		}) {
			return false
		}
	}
	return len(given) > 0
}

// replace puts a new Child SA in the place of the one in use, which stays
// until its deletion has been agreed (RFC 7296 §2.8).
func (sa *SA) replace(next *child, out *Outbox) {
	old := sa.child
	if sa.child = next; old == nil { // the gateway has deleted it meanwhile
		next.installed = sa.cfg.Plane != nil
		if next.installed {
			out.Plane = append(out.Plane, Change{Kind: InstallChild, Child: next.esp})
		}
		return
	}
	sa.retired = append(sa.retired, old)
	next.follow(old, out)
}

// follow installs a Child SA where the one before it was.
func (c *child) follow(before *child, out *Outbox) {
	if c.installed = before.installed; c.installed {
		out.Plane = append(out.Plane, Change{Kind: ReplaceChild, Old: before.esp.ID, Child: c.esp})
	}
}

// addRedundant takes in a Child SA of ours that lost to the gateway's rekey and
// is about to be deleted. It only receives (RFC 7296 §2.8.1).
func (sa *SA) addRedundant(c *child, out *Outbox) {
	c.esp.Sending = esp.SendNever
	sa.retired = append(sa.retired, c)
	if sa.child != nil {
		c.follow(sa.child, out)
	}
}

// remove forgets a retired Child SA.
func (sa *SA) remove(c *child, out *Outbox) {
	sa.retired = slices.DeleteFunc(sa.retired, func(r *child) bool { return r == c })
	if c.installed {
		out.Plane = append(out.Plane, Change{Kind: RemoveChild, Old: c.esp.ID, Child: c.esp})
	}
}

// Child is the Child SA in use; false before the login is complete.
func (sa *SA) Child() (esp.Child, bool) {
	if sa.child == nil {
		return esp.Child{}, false
	}
	return sa.child.esp, true
}
