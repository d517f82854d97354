package initiator

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// authTask waits for the answer to the first IKE_AUTH request: the gateway's
// identity, certificate and signature, and its first EAP packet.
type authTask struct{}

func (authTask) step() Step { return StepCertificate }

// sendAuth sends the first IKE_AUTH request: without AUTH, which asks for EAP
// (RFC 7296 §2.16).
func (sa *SA) sendAuth(now time.Time, out *Outbox) error {
	l := sa.login
	sa.begin(now, StepCertificate)
	var err error
	if l.childSPI, err = sa.randomChildSPI(); err != nil {
		return err
	}
	l.identity = sa.ownIdentity()
	l.esp = withSPI(sa.cfg.espProposals(), binary.BigEndian.AppendUint32(nil, l.childSPI))
	if err := sa.advance(stateAuth); err != nil {
		return err
	}
	var ps []message.Payload
	for _, e := range sa.cfg.Profile.AuthOrder {
		if p := sa.authElement(e); p != nil {
			ps = append(ps, p)
		}
	}
	return sa.request(now, sa.ike, message.ExchangeAuth, ps, authTask{}, out)
}

// ownIdentity is IDi: the Config's, the outer address, or what the user's name
// reads as.
func (sa *SA) ownIdentity() *message.ID {
	p := sa.cfg.Profile
	switch {
	case sa.cfg.Identity != nil:
		return sa.cfg.Identity
	case p.AddressIDi:
		local, _ := sa.path()
		return addressID(local.Addr())
	case p.KeyIDColon && strings.Contains(sa.cfg.User, ":") && !strings.Contains(sa.cfg.User, "@"):
		if id := identityOf(sa.cfg.User); id.Kind != message.IDFQDN {
			return id
		}
		return &message.ID{Kind: message.IDKeyID, Data: []byte(sa.cfg.User)}
	}
	return identityOf(sa.cfg.User)
}

// authElement is the payload an element stands for, nil if it is left out.
func (sa *SA) authElement(e Element) message.Payload {
	switch e.Payload {
	case message.TypeIDi:
		return sa.login.identity
	case message.TypeIDr:
		if id := sa.askedIDr(); id != nil {
			return id
		}
		return nil
	case message.TypeCertReq:
		return &message.CertReq{Encoding: message.CertX509Signature, Authorities: sa.cfg.Profile.appendRoots(keyHashes(sa.cfg.Authorities))}
	case message.TypeCP:
		if as := sa.attributes(); len(as) > 0 {
			return &message.CP{Kind: message.CPRequest, Attributes: as}
		}
		return nil
	case message.TypeSA:
		return &message.SA{Proposals: sa.login.esp}
	case message.TypeTSi:
		return &message.TS{Selectors: sa.cfg.LocalSelectors}
	case message.TypeTSr:
		return &message.TS{Responder: true, Selectors: sa.cfg.RemoteSelectors}
	}
	if e.Optional && !(e.Notify == message.InitialContact && sa.cfg.InitialContact || e.Notify == message.MOBIKESupported && sa.cfg.MOBIKE) {
		return nil
	}
	return &message.Notify{Kind: e.Notify}
}

// askedIDr is the identity the gateway is asked for; nil if none.
func (sa *SA) askedIDr() *message.ID {
	if sa.cfg.ServerName == "" || sa.cfg.Profile.NoIDr {
		return nil
	}
	id := identityOf(sa.cfg.ServerName)
	return &message.ID{Responder: true, Kind: id.Kind, Data: id.Data}
}

// keyHashes is the concatenated SHA-1 hashes of the authorities' public keys
// (RFC 7296 §3.7).
func keyHashes(authorities []*x509.Certificate) []byte {
	var hashes []byte
	for _, c := range authorities {
		h := sha1.Sum(c.RawSubjectPublicKeyInfo)
		hashes = append(hashes, h[:]...)
	}
	return hashes
}

// answer checks who the gateway is before a word about the user is said.
func (authTask) answer(sa *SA, now time.Time, r response, out *Outbox) error {
	if n := refusal(r.payloads); n != nil {
		return &RefusedError{at{StepCertificate}, n.Kind, n.Data}
	}
	if err := sa.proveServer(now, r); err != nil {
		return err
	}
	packet := message.Find[*message.EAP](r.payloads)
	if packet == nil {
		return &ProtocolError{at{StepCertificate}, errors.New("ikev2: it authenticates itself but does not start EAP; configure EAP for this connection")}
	}
	if err := sa.advance(stateEAP); err != nil {
		return err
	}
	sa.login.eap = sa.newMethod()
	return sa.answerEAP(now, packet.Packet, out)
}

// proveServer verifies certificate, name and signature (RFC 7296 §2.15).
func (sa *SA) proveServer(now time.Time, r response) error {
	idr, sig := message.FindID(r.payloads, true), message.Find[*message.Auth](r.payloads)
	switch {
	case idr == nil:
		return missing(StepCertificate, "IDr")
	case sig == nil:
		return &SignatureError{at{StepCertificate}, errors.New("it sent no AUTH payload, though this client did not offer EAP-only authentication")}
	}
	sa.result.Server = idr.String()
	demands := &sa.cfg.Profile.Demands
	if err := demands.onIDr(sa.askedIDr(), idr); err != nil {
		return err
	}
	leaf, err := sa.verifyCertificate(now, r.payloads, idr)
	if err != nil {
		return err
	}
	if err := demands.onSignature(sig, len(sa.cfg.Profile.HashAlgorithms) > 0); err != nil {
		return err
	}
	l := sa.login
	if l.peerID = exchange.PayloadBody(r.first, r.plaintext, message.TypeIDr); l.peerID == nil {
		return missing(StepCertificate, "IDr")
	}
	octets := suite.SignedOctets(sa.ike.suite.PRF, l.answer, l.nonce, sa.ike.keys.Pr, l.peerID)
	if err := suite.VerifySignature(leaf.PublicKey, sig, octets); err != nil {
		return &SignatureError{at{StepCertificate}, err}
	}
	sa.result.Signature = sig.Method.String()
	sa.proof |= proofServer
	return nil
}

// finalTask waits for the answer to our AUTH over the MSK: the gateway's AUTH,
// the addresses and the first Child SA.
type finalTask struct{}

func (finalTask) step() Step { return StepFinal }

// sendFinal proves that the MSK is ours (RFC 7296 §2.16).
func (sa *SA) sendFinal(now time.Time, out *Outbox) error {
	l := sa.login
	sa.begin(now, StepFinal)
	if err := sa.advance(stateFinal); err != nil {
		return err
	}
	prf := sa.ike.suite.PRF
	octets := suite.SignedOctets(prf, l.request, l.peerNonce, sa.ike.keys.Pi, l.identity.AppendBody(nil))
	proof := &message.Auth{Method: message.AuthSharedKey, Data: prf.SharedKeyAuth(l.msk, octets)}
	return sa.request(now, sa.ike, message.ExchangeAuth, []message.Payload{proof}, finalTask{}, out)
}

// answer checks the gateway's AUTH over the MSK and takes the Child SA.
func (finalTask) answer(sa *SA, now time.Time, r response, out *Outbox) error {
	l, prf := sa.login, sa.ike.suite.PRF
	mac := message.Find[*message.Auth](r.payloads)
	if mac == nil {
		if n := refusal(r.payloads); n != nil {
			return &RefusedError{at{StepFinal}, n.Kind, n.Data}
		}
		return missing(StepFinal, "AUTH")
	}
	octets := suite.SignedOctets(prf, l.answer, l.nonce, sa.ike.keys.Pr, l.peerID)
	if mac.Method != message.AuthSharedKey || !equal(mac.Data, prf.SharedKeyAuth(l.msk, octets)) {
		return &SignatureError{at{StepFinal}, fmt.Errorf("its AUTH payload (%s) does not match the key of the EAP method", mac.Method)}
	}
	sa.proof |= proofMSK
	if n := refusal(r.payloads); n != nil {
		return sa.childRefused(n)
	}
	if err := sa.configure(r.payloads); err != nil {
		return err
	}
	sa.noteMobility(r.payloads)
	if err := sa.firstChild(r.payloads); err != nil {
		return err
	}
	sa.finish(now, out)
	return sa.install(now, out)
}

// childRefused is the end of a login whose IKE SA stands without a Child SA:
// a client has no use for it.
func (sa *SA) childRefused(n *message.Notify) error {
	if n.Kind == message.NoProposalChosen {
		return &NoProposalError{at: at{StepFinal}, Protocol: message.ProtocolESP, Offered: suite.Describe(sa.login.esp)}
	}
	return &RefusedError{at{StepFinal}, n.Kind, n.Data}
}

// install hands the first Child SA to the data plane, if there is one.
func (sa *SA) install(now time.Time, out *Outbox) error {
	if err := sa.advance(stateInstalling); err != nil {
		return err
	}
	sa.begin(now, StepInstall)
	if sa.cfg.Plane == nil {
		return sa.establish(now, out)
	}
	out.Plane = append(out.Plane, Change{Kind: InstallChild, Child: sa.child.esp})
	return nil
}

func (sa *SA) installed(now time.Time, ev Installed, out *Outbox) error {
	if ev.Err != nil {
		return &LocalError{at{StepInstall}, ev.Err}
	}
	if sa.state != stateInstalling {
		return nil
	}
	sa.child.installed = true
	sa.finish(now, out)
	return sa.establish(now, out)
}

func (sa *SA) establish(now time.Time, out *Outbox) error {
	if err := sa.advance(stateEstablished); err != nil {
		return err
	}
	sa.login.wipe()
	sa.ike.keys.Pi.Wipe()
	sa.ike.keys.Pr.Wipe()
	sa.login = nil
	sa.keepNext = now.Add(sa.cfg.KeepAlive)
	out.Notices = append(out.Notices, Established{})
	return nil
}
