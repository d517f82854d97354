package mschapv2

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// served brings a client to where it awaits the server's proof and gives the
// server's true SuccessRequest.
func served(t *testing.T) (*login, []byte) {
	t.Helper()
	l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "sesame")
	l.advance(2)
	return l, l.step.Packet
}

func TestClientTrustsOnlyAProvenServer(t *testing.T) {
	success := eap.Packet{Code: eap.CodeSuccess, Identifier: 9}.Append(nil)
	request := func(text string) []byte {
		return eap.NewMSCHAPv2(99, &eap.SuccessRequest{Message: []byte(text)}).Append(nil)
	}
	t.Run("success before anything", func(t *testing.T) {
		c := NewClient("alice", []byte("sesame"), seeded(2))
		if _, err := c.Respond(success); !errors.Is(err, ErrSuccessTooEarly) || !c.Failed() || c.MSK() != nil {
			t.Errorf("err %v, failed %v", err, c.Failed())
		}
	})
	t.Run("success before the proof", func(t *testing.T) {
		l, _ := served(t)
		if _, err := l.client.Respond(success); !errors.Is(err, ErrSuccessTooEarly) || !l.client.Failed() || l.client.MSK() != nil {
			t.Errorf("err %v, failed %v", err, l.client.Failed())
		}
	})
	t.Run("success request before the challenge", func(t *testing.T) {
		c := NewClient("alice", []byte("sesame"), seeded(2))
		var unexpected *UnexpectedError
		if _, err := c.Respond(request("S=" + strings.Repeat("0", 40))); !errors.As(err, &unexpected) || !c.Failed() {
			t.Errorf("err %v, failed %v", err, c.Failed())
		}
	})
	for _, text := range []string{"S=" + strings.Repeat("00", 20) + " M=OK", "M=OK", "S=12", ""} {
		l, _ := served(t)
		if packet, err := l.client.Respond(request(text)); !errors.Is(err, ErrServerProof) || packet != nil || !l.client.Failed() || l.client.MSK() != nil {
			t.Errorf("proof %q: answer %x, err %v", text, packet, err)
		}
		if _, err := l.client.Respond(success); err == nil || l.client.Done() {
			t.Errorf("proof %q: the client went on: %v", text, err)
		}
	}
}

func TestClientAnswersARepeatedRequestAlike(t *testing.T) {
	l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "sesame")
	for range 3 {
		once, err := l.answer()
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := l.answer(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("the answer changed: %x, %x, %v", once, twice, err)
		}
		l.send(once)
	}
	if step, err := l.finish(); step.Verdict != auth.Accept || err != nil || !l.client.Done() {
		t.Errorf("verdict %d, %v", step.Verdict, err)
	}
	if _, err := l.client.Respond(l.step.Packet); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

func TestClientAsksForItsMethod(t *testing.T) {
	c := NewClient("alice", []byte("sesame"), seeded(2))
	for want, request := range map[string]eap.Packet{
		"\x02\x07\x00\x06\x03\x1a": {Code: eap.CodeRequest, Identifier: 7, Type: eap.TypeTLS, Data: []byte{0x20}},
		"\x02\x08\x00\x05\x02":     {Code: eap.CodeRequest, Identifier: 8, Type: eap.TypeNotification, Data: []byte("hello")},
		"\x02\x09\x00\x14\xfe\x00\x00\x00\x00\x00\x00\x03\xfe\x00\x00\x00\x00\x00\x00\x1a": {Code: eap.CodeRequest, Identifier: 9, Type: eap.TypeExpanded, Data: []byte{0, 1, 2, 0, 0, 0, 1}},
	} {
		if got, err := c.Respond(request.Append(nil)); err != nil || string(got) != want {
			t.Errorf("type %v: %x, %v, want %x", request.Type, got, err, want)
		}
	}
}

func TestClientReportsTheFailure(t *testing.T) {
	l, _ := served(t)
	failure := eap.NewMSCHAPv2(50, &eap.FailureRequest{Message: []byte("E=648 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=too old")}).Append(nil)
	packet, err := l.client.Respond(failure)
	var failed *FailedError
	if !errors.As(err, &failed) || *failed != (FailedError{Code: 648, Message: "too old"}) || !strings.Contains(err.Error(), "password expired") {
		t.Errorf("err %v", err)
	}
	if want := eap.NewMSCHAPv2(50, &eap.FailureResponse{}).Append(nil); !bytes.Equal(packet, want) {
		t.Errorf("answer %x, want %x", packet, want)
	}
	if _, err := l.client.Respond(eap.Packet{Code: eap.CodeFailure, Identifier: 50}.Append(nil)); !errors.As(err, &failed) || failed.Code != 648 {
		t.Errorf("EAP-Failure after it: %v", err)
	}
	c := NewClient("alice", []byte("sesame"), seeded(2))
	if _, err := c.Respond(eap.Packet{Code: eap.CodeFailure, Identifier: 1}.Append(nil)); !errors.As(err, &failed) || failed.Code != 0 || !c.Failed() {
		t.Errorf("a bare EAP-Failure: %v", err)
	}
}

func TestClientIgnoresGarbage(t *testing.T) {
	l, good := served(t)
	var syntax *eap.SyntaxError
	for _, packet := range [][]byte{nil, []byte("garbage"), {1, 77, 0, 5, 26}, {1, 78, 0, 6, 26, 2}} {
		if _, err := l.client.Respond(packet); !errors.As(err, &syntax) {
			t.Errorf("%x: %v", packet, err)
		}
	}
	if _, err := l.client.Respond(good); err != nil {
		t.Errorf("the true packet after garbage: %v", err)
	}
}

func TestClientWithoutRandomness(t *testing.T) {
	l := begin(t, NewHashVerifier(newStore()), auth.Peer{}, "alice", "sesame")
	l.client.rand = io.LimitReader(seeded(1), 3)
	l.advance(1)
	if packet, err := l.answer(); packet != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("answer %x, err %v", packet, err)
	}
}

func FuzzClient(f *testing.F) {
	f.Add([]byte{1, 5, 0, 6, 26, 3}, []byte{3, 5, 0, 4})
	f.Add([]byte{1, 1, 0, 5, 1}, []byte{4, 5, 0, 4})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		c := NewClient("alice", []byte("sesame"), seeded(2))
		_, _ = c.Respond(first)
		_, _ = c.Respond(second)
		if c.Done() || c.MSK() != nil {
			t.Fatalf("%x, %x made the client trust", first, second)
		}
	})
}
