package message_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"

	"bridgehead/ikev2/message"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// checkError refuses errors of other types or with a place outside the input.
func checkError(t *testing.T, err error, inputLen int) {
	t.Helper()
	var syntax *message.SyntaxError
	var version *message.VersionError
	switch {
	case errors.As(err, &syntax):
		if syntax.Offset < 0 || syntax.Offset > inputLen || syntax.Reason == "" {
			t.Errorf("input of %d octets: %#v", inputLen, syntax)
		}
	case !errors.As(err, &version):
		t.Errorf("error of an unknown type: %v", err)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(windowsInit().Append(nil))
	f.Add(make([]byte, 27))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := message.ParseHeader(b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		if got := h.Append(nil); !bytes.Equal(got, b[:message.HeaderLen]) {
			t.Errorf("%x encoded to %x", b[:message.HeaderLen], got)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(windowsInit().Append(nil))
	for seed := range 40 {
		f.Add(whole.Example(seed).Append(nil))
	}
	for _, c := range malformed {
		b := message.Header{Version: message.Version2, NextPayload: c.first}.Append(nil)
		b = append(b, hexed(f, c.wire)...)
		b[26], b[27] = byte(len(b)>>8), byte(len(b))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.Parse(b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		exerciseNames(m.Payloads)
		checkStable(t, b)
	})
}

// FuzzParsePayloads starts from a chain of each payload type, so that every
// body parser is reached.
func FuzzParsePayloads(f *testing.F) {
	f.Add(byte(message.TypeIDi), message.AppendPayloads(nil, authRequest()))
	for _, generate := range payloads {
		for seed := range 3 {
			p := rapid.Custom(generate).Example(seed)
			f.Add(byte(p.Type()), message.AppendPayloads(nil, []message.Payload{p}))
		}
	}
	dn, err := asn1.Marshal(pkix.Name{CommonName: "gateway", Country: []string{"DE"}}.ToRDNSequence())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(message.TypeIDi), message.AppendPayloads(nil, []message.Payload{&message.ID{Kind: message.IDDERASN1DN, Data: dn}}))
	for _, c := range malformed {
		f.Add(byte(c.first), hexed(f, c.wire))
	}
	f.Fuzz(func(t *testing.T, first byte, b []byte) {
		ps, err := message.ParsePayloads(message.PayloadType(first), b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		exerciseNames(ps)
		out := message.AppendPayloads(nil, ps)
		again, err := message.ParsePayloads(message.FirstType(ps), out)
		if err != nil {
			t.Fatalf("%x encoded to %x: %v", b, out, err)
		}
		if d := cmp.Diff(ps, again, same); d != "" {
			t.Errorf("encoding changed the payloads (-first +second):\n%s", d)
		}
	})
}

// exerciseNames calls what turns octets of the peer into text and values.
func exerciseNames(ps []message.Payload) {
	for _, p := range ps {
		_ = p.Type().String()
		switch p := p.(type) {
		case *message.ID:
			_ = p.String()
		case *message.CP:
			for _, a := range p.Attributes {
				a.Addr()
				a.Prefix()
				a.Domain()
			}
		}
	}
}
