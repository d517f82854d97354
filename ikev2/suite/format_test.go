package suite_test

import (
	"bytes"
	"testing"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/integration/secrecy"
)

func TestKeysNeverPrint(t *testing.T) {
	for _, s := range ikeSuites(t) {
		keys := s.Derive(suite.Secret("shared"), []byte("ni"), []byte("nr"), message.SPI{1}, message.SPI{2})
		sealer, err := s.NewSealer(keys.Ei, keys.Ai)
		if err != nil {
			t.Fatal(err)
		}
		opener, err := s.NewOpener(keys.Ei, keys.Ai)
		if err != nil {
			t.Fatal(err)
		}
		child := suite.ChildKeys{InitiatorEncr: keys.Ei, ResponderInteg: keys.Ei}
		secrecy.Check(t, keys.D, keys, &keys, keys.D)
		secrecy.Check(t, keys.Ei, keys, sealer, *sealer, opener, *opener, child, &child)
		if len(keys.Ai) > 0 {
			secrecy.Check(t, keys.Ai, keys, sealer, opener)
		}
		private := bytes.Repeat([]byte("\xc0entropy"), 64)
		pair, err := s.Group.Generate(bytes.NewReader(private))
		if err != nil {
			t.Fatal(err)
		}
		secrecy.Check(t, private, pair)
	}
}
