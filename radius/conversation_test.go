package radius

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func eapAVP(p eap.Packet) *codec.AVP { return avp(rfc2869.EAPMessage_Type, string(p.Append(nil))) }

func eapRequest(id uint8, t eap.Type) *codec.AVP {
	return eapAVP(eap.Packet{Code: eap.CodeRequest, Identifier: id, Type: t, Data: []byte("data")})
}

func eapEnd(code eap.Code) *codec.AVP { return eapAVP(eap.Packet{Code: code, Identifier: 51}) }

// key is a MS-MPPE key for the request.
func key(q []byte, kind byte, value string) *codec.AVP {
	a, err := codec.NewTunnelPassword([]byte(value), []byte{0x80, kind}, []byte(testSecret), q[4:headerLen])
	if err != nil {
		panic(err)
	}
	return avp(rfc2865.VendorSpecific_Type, "\x00\x00\x01\x37"+string([]byte{kind, byte(2 + len(a))})+string(a))
}

const receiveKey, sendKey = "receive-receive-", "send-send-send-send-send-send-32"

// script answers the n-th Access-Request with the n-th entry; Status-Server
// always.
func script(entries ...func(q []byte) []byte) func([]byte) [][]byte {
	n := 0
	return func(q []byte) [][]byte {
		if codec.Code(q[0]) == codec.CodeStatusServer {
			return onlyStatus(q)
		}
		if n++; n > len(entries) {
			return nil
		}
		return [][]byte{entries[n-1](q)}
	}
}

func challenge(attrs ...*codec.AVP) func([]byte) []byte {
	return func(q []byte) []byte { return reply(q, codec.CodeAccessChallenge, signed, attrs...) }
}

func accept(attrs ...*codec.AVP) func([]byte) []byte {
	return func(q []byte) []byte {
		all := append([]*codec.AVP{key(q, msMPPERecvKey, receiveKey), key(q, msMPPESendKey, sendKey)}, attrs...)
		return reply(q, codec.CodeAccessAccept, signed, all...)
	}
}

// begin starts a conversation as far as the answer to EAP-Identity.
func begin(t *testing.T, g *Group, peer auth.Peer, identity string) (auth.Conversation, auth.Step) {
	t.Helper()
	b, err := NewBackend(BackendConfig{Group: g, NASIdentifier: "vpn", Rand: seeded(5)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Begin(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	step, err := c.Next(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, next(t, c, respond(step, eap.TypeIdentity, identity))
}

// respond answers the step's request.
func respond(s auth.Step, method eap.Type, data string) []byte {
	return eap.Packet{Code: eap.CodeResponse, Identifier: s.Packet[1], Type: method, Data: []byte(data)}.Append(nil)
}

func next(t *testing.T, c auth.Conversation, response []byte) auth.Step {
	t.Helper()
	step, err := c.Next(within(t, 10*time.Second), response)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

func TestHowServersEndALogin(t *testing.T) {
	state := avp(rfc2865.State_Type, "state")
	success, failure := eapEnd(eap.CodeSuccess), eapEnd(eap.CodeFailure)
	expired := eapAVP(eap.NewMSCHAPv2(50, &eap.FailureRequest{Message: []byte("E=648 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=old")}))
	with := func(code codec.Code, attrs ...*codec.AVP) func([]byte) []byte {
		return func(q []byte) []byte { return reply(q, code, signed, attrs...) }
	}
	for name, tc := range map[string]struct {
		answer  func([]byte) []byte
		peer    auth.Peer
		verdict auth.Verdict
		cause   auth.Cause
	}{
		"accept": {answer: accept(success), verdict: auth.Accept},
		"no key": {with(codec.CodeAccessAccept, success), auth.Peer{}, auth.Unavailable, CauseNoKey},
		"half a key": {func(q []byte) []byte {
			return reply(q, codec.CodeAccessAccept, signed, success, key(q, msMPPERecvKey, receiveKey))
		}, auth.Peer{}, auth.Unavailable, CauseNoKey},
		"a short key": {func(q []byte) []byte {
			return reply(q, codec.CodeAccessAccept, signed, success, key(q, msMPPERecvKey, "short"), key(q, msMPPESendKey, sendKey))
		}, auth.Peer{}, auth.Unavailable, CauseNoKey},
		"a key twice":             {accept(success, avp(26, "\x00\x00\x01\x37\x10\x04ab")), auth.Peer{}, auth.Unavailable, CauseNoKey},
		"no EAP-Success":          {accept(), auth.Peer{}, auth.Unavailable, CauseNoSuccess},
		"EAP-Failure in Accept":   {accept(failure), auth.Peer{}, auth.Unavailable, CauseNoSuccess},
		"EAP-Request in Accept":   {accept(eapRequest(51, eap.TypeTLS)), auth.Peer{}, auth.Unavailable, CauseNoSuccess},
		"cut EAP in Accept":       {accept(avp(79, "\x03\x01\x00")), auth.Peer{}, auth.Unavailable, CauseNoSuccess},
		"EAP-Success, Challenge":  {with(codec.CodeAccessChallenge, success, state), auth.Peer{}, auth.Unavailable, CauseSuccessInChallenge},
		"EAP-Failure, Challenge":  {with(codec.CodeAccessChallenge, failure, state), auth.Peer{}, auth.Unavailable, CauseSuccessInChallenge},
		"Challenge without EAP":   {with(codec.CodeAccessChallenge, state), auth.Peer{}, auth.Unavailable, CauseNoEAP},
		"EAP-Success in Reject":   {with(codec.CodeAccessReject, success), auth.Peer{}, auth.Reject, CauseSuccessInReject},
		"Reject":                  {with(codec.CodeAccessReject, failure), auth.Peer{}, auth.Reject, CauseRefused},
		"Reject without EAP":      {with(codec.CodeAccessReject), auth.Peer{}, auth.Reject, CauseRefused},
		"Windows, a final E=648":  {with(codec.CodeAccessChallenge, expired, state), auth.Peer{NoFinalFailure: true}, auth.Reject, auth.CausePasswordExpired},
		"others, a final E=648":   {with(codec.CodeAccessChallenge, expired, state), auth.Peer{}, auth.Continue, auth.CausePasswordExpired},
		"a limit of three octets": {accept(success, avp(rfc2865.SessionTimeout_Type, "abc")), auth.Peer{}, auth.Unavailable, CauseBadAttribute},
		"a cut Microsoft VSA":     {accept(success, avp(26, "\x00\x00\x01\x37\x1c\x09ab")), auth.Peer{}, auth.Unavailable, CauseBadAttribute},
		"another vendor's format": {accept(success, avp(26, "\x00\x00\x99\x99\x1c\x09ab")), auth.Peer{}, auth.Accept, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answer: script(challenge(eapRequest(50, eap.TypeMD5), state), tc.answer)}
				g := newTestGroup(t, nil, w)
				defer g.Close()
				c, step := begin(t, g, tc.peer, "alice")
				defer c.Close()
				step = next(t, c, respond(step, eap.TypeMD5, "answer"))
				if step.Verdict != tc.verdict || step.Reason.Cause != tc.cause || (step.Grant != nil) != (tc.verdict == auth.Accept) {
					t.Fatalf("verdict %d, %+v, grant %+v", step.Verdict, step.Reason, step.Grant)
				}
				want := map[auth.Verdict]eap.Code{auth.Accept: eap.CodeSuccess, auth.Reject: eap.CodeFailure, auth.Unavailable: eap.CodeFailure, auth.Continue: eap.CodeRequest}
				if p, err := eap.Parse(step.Packet); err != nil || p.Code != want[tc.verdict] {
					t.Errorf("the client gets %x", step.Packet)
				}
				if step.Grant != nil && string(step.Grant.MSK) != receiveKey+sendKey+strings.Repeat("\x00", 16) {
					t.Error("the key is not Recv, Send and zeros")
				}
				if tc.verdict != auth.Continue {
					if _, err := c.Next(t.Context(), respond(step, eap.TypeMD5, "more")); !errors.Is(err, errEnded) {
						t.Errorf("after the end: %v", err)
					}
				}
				q := requests(w.packets(), codec.CodeAccessRequest)[1]
				_, attrs, err := whole(q)
				if err != nil || len(all(attrs, rfc2865.State_Type)) != 1 || string(attrs.Get(rfc2865.State_Type)) != "state" || string(attrs.Get(rfc2865.UserName_Type)) != "alice" {
					t.Errorf("the second request: %v, %v", attrs, err)
				}
			})
		})
	}
}

func TestAServerThatDiesMidwayLeadsToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &wire{answer: script(challenge(eapRequest(50, eap.TypeMD5), avp(rfc2865.State_Type, "of s0")))}
		second := &wire{answer: script(challenge(eapRequest(60, eap.TypeMD5), avp(rfc2865.State_Type, "of s1")), accept(eapEnd(eap.CodeSuccess)))}
		g := newTestGroup(t, nil, first, second)
		defer g.Close()
		c, step := begin(t, g, auth.Peer{}, "alice")
		first.set(silence)
		began := time.Now()
		step = next(t, c, respond(step, eap.TypeMD5, "answer"))
		p, err := eap.Parse(step.Packet)
		if step.Verdict != auth.Continue || err != nil || p.Type != eap.TypeIdentity || time.Since(began) > 6*time.Second {
			t.Fatalf("after %s: verdict %d, %+v, packet %x", time.Since(began), step.Verdict, step.Reason, step.Packet)
		}
		if step.Reason.Cause != auth.CauseBackendUnavailable || step.Reason.Evidence[0].Value != "s0" {
			t.Errorf("the reason %+v", step.Reason)
		}
		step = next(t, c, respond(step, eap.TypeIdentity, "alice"))
		if step = next(t, c, respond(step, eap.TypeMD5, "answer")); step.Verdict != auth.Accept {
			t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
		}
		for _, q := range requests(second.packets(), codec.CodeAccessRequest) {
			if strings.Contains(string(q), "of s0") {
				t.Error("one server got the other's State")
			}
		}
	})
}

func TestAnOutageIsNeverARefusal(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func([]byte) [][]byte
		cause  auth.Cause
		after  time.Duration
	}{
		"dead":   {silence, auth.CauseBackendUnavailable, lastChance},
		"slow":   {onlyStatus, auth.CauseBackendTimeout, 10 * time.Second},
		"forged": {func(q []byte) [][]byte { return append(onlyStatus(q), reply(q, codec.CodeAccessAccept, wrongMAC)) }, CauseNotAuthentic, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answer: script(challenge(eapRequest(50, eap.TypeMD5), avp(rfc2865.State_Type, "s")))}
				g := newTestGroup(t, nil, w)
				defer g.Close()
				c, step := begin(t, g, auth.Peer{}, "alice")
				w.set(tc.answer)
				began := time.Now()
				step = next(t, c, respond(step, eap.TypeMD5, "answer"))
				if step.Verdict != auth.Unavailable || step.Reason.Cause != tc.cause || time.Since(began) != tc.after {
					t.Errorf("after %s: verdict %d, %+v", time.Since(began), step.Verdict, step.Reason)
				}
			})
		})
	}
}

// A client that answers a method's request with another name is not asked for by
// that name in the conversation of the former one.
func TestNobodyChangesTheNameWithinAMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: script(challenge(eapRequest(50, eap.TypeMD5), avp(rfc2865.State_Type, "s")), accept(eapEnd(eap.CodeSuccess)))}
		g := newTestGroup(t, nil, w)
		defer g.Close()
		c, step := begin(t, g, auth.Peer{}, "alice")
		if again := next(t, c, respond(step, eap.TypeIdentity, "root")); string(again.Packet) != string(step.Packet) || again.Verdict != auth.Continue {
			t.Errorf("got %x, verdict %d", again.Packet, again.Verdict)
		}
		if step = next(t, c, respond(step, eap.TypeMD5, "answer")); step.Verdict != auth.Accept || step.Identity != "alice" {
			t.Errorf("verdict %d for %q", step.Verdict, step.Identity)
		}
	})
}

func TestAStrayPacketAsksNoServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: script(challenge(eapRequest(50, eap.TypeMD5)), accept(eapEnd(eap.CodeSuccess)))}
		g := newTestGroup(t, nil, w)
		defer g.Close()
		c, step := begin(t, g, auth.Peer{}, "alice")
		for _, stray := range [][]byte{{}, {2, 50, 0, 9, 4}, {2, 49, 0, 5, 4}} {
			if again := next(t, c, stray); string(again.Packet) != string(step.Packet) || again.Verdict != auth.Continue {
				t.Fatalf("%x got %x, verdict %d", stray, again.Packet, again.Verdict)
			}
		}
		if n := len(requests(w.packets(), codec.CodeAccessRequest)); n != 1 {
			t.Errorf("%d requests, expected one", n)
		}
		if step = next(t, c, []byte{1}); step.Verdict != auth.Reject || step.Reason.Cause != auth.CauseEAPMalformed {
			t.Errorf("the fourth: verdict %d, %+v", step.Verdict, step.Reason)
		}
	})
}

func TestIdentities(t *testing.T) {
	for name, tc := range map[string]struct {
		peer     auth.Peer
		identity string
		sent     string
		cause    auth.Cause
	}{
		"as given":             {identity: "alice@branch", sent: "alice@branch"},
		"none: the IKE's":      {peer: auth.Peer{IDi: "bob"}, sent: "bob"},
		"none, and one needed": {peer: auth.Peer{IDi: "bob", IdentityNeeded: true}, cause: auth.CauseNoIdentity},
		"none at all":          {cause: auth.CauseNoIdentity},
		"too long":             {identity: strings.Repeat("a", 254), cause: auth.CauseEAPMalformed},
		"as long as can be":    {identity: strings.Repeat("a", 253), sent: strings.Repeat("a", 253)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answer: honest(codec.CodeAccessChallenge, eapRequest(50, eap.TypeTLS))}
				g := newTestGroup(t, nil, w)
				defer g.Close()
				_, step := begin(t, g, tc.peer, tc.identity)
				if step.Reason.Cause != tc.cause {
					t.Fatalf("%+v", step.Reason)
				}
				list := requests(w.packets(), codec.CodeAccessRequest)
				if tc.sent == "" {
					if len(list) > 0 {
						t.Error("the server was asked")
					}
					return
				}
				_, attrs, err := whole(list[0])
				if err != nil {
					t.Fatal(err)
				}
				raw, _ := eapMessage(attrs)
				if p, err := eap.Parse(raw); err != nil || string(p.Data) != tc.sent || string(attrs.Get(rfc2865.UserName_Type)) != tc.sent {
					t.Errorf("User-Name %q, EAP identity %q, expected %q", attrs.Get(rfc2865.UserName_Type), p.Data, tc.sent)
				}
			})
		})
	}
}

func TestRealmsHaveTheirServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		campus, branch := &wire{answer: honest(codec.CodeAccessReject)}, &wire{answer: honest(codec.CodeAccessReject)}
		all, one := newTestGroup(t, nil, campus), newTestGroup(t, nil, branch)
		defer all.Close()
		defer one.Close()
		b, err := NewBackend(BackendConfig{Group: all, Realms: map[string]*Group{"branch.example": one}, Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"alice", "bob@Branch.Example", "carl@elsewhere"} {
			c, err := b.Begin(context.Background(), auth.Peer{})
			if err != nil {
				t.Fatal(err)
			}
			next(t, c, respond(next(t, c, nil), eap.TypeIdentity, name))
		}
		if a, b := len(requests(campus.packets(), codec.CodeAccessRequest)), len(requests(branch.packets(), codec.CodeAccessRequest)); a != 2 || b != 1 {
			t.Errorf("%d and %d requests", a, b)
		}
	})
}

func TestARealmWithoutServersIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: honest(codec.CodeAccessReject)}
		g := newTestGroup(t, nil, w)
		defer g.Close()
		realms := map[string]*Group{"branch.example": g}
		b, err := NewBackend(BackendConfig{Realms: realms, Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Begin(context.Background(), auth.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		want := auth.Reason{Cause: CauseNoServer, Evidence: []auth.Evidence{{Key: "realm", Value: "elsewhere"}}}
		if step := next(t, c, respond(next(t, c, nil), eap.TypeIdentity, "carl@elsewhere")); step.Verdict != auth.Reject || !cmp.Equal(step.Reason, want) {
			t.Errorf("EAP: %+v", step)
		}
		v, err := NewVerifier(VerifierConfig{Realms: realms})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(t.Context(), auth.MSCHAPv2Response{Name: "carl@elsewhere"})
		var refusal *auth.Refusal
		if !errors.As(err, &refusal) || !cmp.Equal(refusal.Reason, want) || refusal.Code != auth.ErrorAuthenticationFailed {
			t.Errorf("MS-CHAPv2: %v", err)
		}
		if asked := requests(w.packets(), codec.CodeAccessRequest); len(asked) != 0 {
			t.Errorf("%d requests", len(asked))
		}
	})
}

func FuzzConversation(f *testing.F) {
	f.Add([]byte{2, 50, 0, 6, 4, 1}, []byte{79, 6, 3, 1, 0, 4}, uint8(2))
	f.Add([]byte{2, 50, 0, 5, 1}, []byte{24, 3, 1, 79, 8, 1, 51, 0, 6, 26, 4}, uint8(11))
	f.Fuzz(func(t *testing.T, response, attrs []byte, code uint8) {
		list, err := codec.ParseAttributes(attrs)
		if err != nil {
			return
		}
		c := &conversation{backend: &Backend{}, phase: expectResponse, id: 50, server: &Server{config: ServerConfig{Name: "s"}}, identity: "alice"}
		r := &Reply{Attributes: list, question: make(request, headerLen), secret: auth.Secret(testSecret)}
		var step auth.Step
		switch codec.Code(code) {
		case codec.CodeAccessAccept:
			step, err = c.accepted(r)
		case codec.CodeAccessReject:
			step, err = c.rejected(r)
		default:
			step, err = c.challenged(r)
		}
		if err != nil || step.Verdict == auth.Accept {
			t.Fatalf("verdict %d, %v: without the secret nobody makes keys", step.Verdict, err)
		}
		if p, err := eap.Parse(step.Packet); err != nil || p.Code == eap.CodeSuccess {
			t.Fatalf("the client would get %x", step.Packet)
		}
		if c.phase == ended {
			return
		}
		if _, err := eap.Parse(response); err != nil {
			if step, err := c.Next(t.Context(), response); err != nil || step.Verdict != auth.Continue {
				t.Fatalf("a malformed answer: verdict %d, %v", step.Verdict, err)
			}
		}
	})
}
