//go:build vectors

package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bridgehead/ikev2/message"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// file is the path of a file of the folder with the vectors. A missing folder is a
// failure: whoever sets the build tag wants the vectors tested.
func file(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("BRIDGEHEAD_VECTORS")
	if dir == "" {
		t.Fatal("BRIDGEHEAD_VECTORS is not set: run make test-vectors DIR=folder")
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

func load(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(file(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// octets are written in JSON as hexadecimal digits, with or without a prefix
// 0x and blanks.
type octets []byte

func (o *octets) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.TrimPrefix(strings.Join(strings.Fields(string(text)), ""), "0x"))
	*o = b
	return err
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	var o octets
	if err := o.UnmarshalText([]byte(s)); err != nil {
		t.Fatalf("%.40s: %v", s, err)
	}
	return o
}

// same compares what was counted with what the vectors are known to hold, so
// that nothing is left out unseen.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// sameOctets is same for octets, printed as hexadecimal.
func sameOctets(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\ngot  %x\nwant %x", what, got, want)
	}
}

// checkPayloads parses a chain and wants the same octets back.
func checkPayloads(t *testing.T, first message.PayloadType, b []byte) []message.Payload {
	t.Helper()
	ps, err := message.ParsePayloads(first, b)
	if err != nil {
		t.Errorf("%x: %v", b, err)
		return nil
	}
	sameOctets(t, "payloads encoded again", message.AppendPayloads(nil, ps), b)
	return ps
}

// checkMessage parses a message and wants the same octets back.
func checkMessage(t *testing.T, b []byte) *message.Message {
	t.Helper()
	m, err := message.Parse(b)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	sameOctets(t, "message encoded again", m.Append(nil), b)
	return m
}
