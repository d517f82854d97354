package suite_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// counting is a source of octets 0, 1, 2 and so on.
type counting struct{ next byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = c.next
		c.next++
	}
	return len(p), nil
}

// testKeys are keys of the suite's lengths, of octets that all differ.
func testKeys(s suite.IKE) (encr, integ suite.Secret) {
	encr, integ = make(suite.Secret, s.KeyLen()), make(suite.Secret, s.IntegKeyLen())
	source := &counting{next: 0x80}
	io.ReadFull(source, encr)
	io.ReadFull(source, integ)
	return encr, integ
}

// endpoints are both ends of one direction; their keys are wiped at once.
func endpoints(t testing.TB, s suite.IKE) (*suite.Sealer, *suite.Opener) {
	t.Helper()
	encr, integ := testKeys(s)
	sealer, err := s.NewSealer(encr, integ)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := s.NewOpener(encr, integ)
	if err != nil {
		t.Fatal(err)
	}
	encr.Wipe()
	integ.Wipe()
	return sealer, opener
}

// sealed protects plaintext as the only payload of a message.
func sealed(t testing.TB, sealer *suite.Sealer, plaintext []byte) (msg []byte, off int) {
	t.Helper()
	header := message.Header{InitiatorSPI: message.SPI{1}, ResponderSPI: message.SPI{2}, Version: message.Version2, Exchange: message.ExchangeAuth, MessageID: 1}
	prefix := header.AppendSK(nil, message.TypeIDi, sealer.Len(len(plaintext)))
	msg, err := sealer.Seal(bytes.Clone(prefix), plaintext, &counting{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(msg, prefix) || len(msg) != len(prefix)+sealer.Len(len(plaintext)) {
		t.Fatalf("%d octets sealed, want %d and %d", len(msg), len(prefix), sealer.Len(len(plaintext)))
	}
	return msg, len(prefix)
}

func TestOpenVectorOfRFC7634(t *testing.T) {
	s := suite.IKE{Encr: suite.EncrChaCha20Poly1305, PRF: suite.PRFHMACSHA256, Group: suite.X25519}
	opener, err := s.NewOpener(octets(t, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3"), nil)
	if err != nil {
		t.Fatal(err)
	}
	msg := octets(t, "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e2025000000000900000045290000291011121314151617610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2")
	got, err := opener.Open([]byte("before "), msg, 32)
	if err != nil {
		t.Fatal(err)
	}
	checkOctets(t, "plaintext", got, append([]byte("before "), octets(t, "0000000c000040010000000a")...))
}

// The body by crypto/cipher and crypto/hmac, as RFC 7296 §3.14 describes it.
func TestSealedBodyAgainstPlainConstruction(t *testing.T) {
	plaintext := []byte("thirty-three octets of plaintext.")
	for _, s := range ikeSuites(t) {
		sealer, opener := endpoints(t, s)
		encr, integ := testKeys(s)
		for i := range 3 {
			msg, off := sealed(t, sealer, plaintext)
			if integ == nil || s.Integ == suite.IntegNone {
				if want := append(make([]byte, 7), byte(i+1)); !bytes.Equal(msg[off:off+8], want) {
					t.Errorf("%s: message %d has initialization vector %x, want %x", s, i, msg[off:off+8], want)
				}
			} else {
				block, err := aes.NewCipher(encr)
				if err != nil {
					t.Fatal(err)
				}
				mac := hmac.New(hashOf[map[uint16]suite.PRF{2: suite.PRFHMACSHA1, 12: suite.PRFHMACSHA256, 13: suite.PRFHMACSHA384, 14: suite.PRFHMACSHA512}[s.Integ]], integ)
				icv := map[uint16]int{2: 12, 12: 16, 13: 24, 14: 32}[s.Integ]
				padded := append(append(bytes.Clone(plaintext), make([]byte, 14)...), 14)
				want := append(bytes.Clone(msg[:off]), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
				cipher.NewCBCEncrypter(block, want[off:]).CryptBlocks(padded, padded)
				want = append(want, padded...)
				mac.Write(want)
				checkOctets(t, s.String(), msg, append(want, mac.Sum(nil)[:icv]...))
			}
			got, err := opener.Open(nil, msg, off)
			if err != nil {
				t.Fatal(err)
			}
			checkOctets(t, s.String()+" opened", got, plaintext)
		}
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	for _, s := range ikeSuites(t) {
		sealer, opener := endpoints(t, s)
		msg, off := sealed(t, sealer, []byte("a plaintext"))
		for bit := range len(msg) * 8 {
			msg[bit/8] ^= 1 << (bit % 8)
			var forged *suite.IntegrityError
			if got, err := opener.Open(nil, msg, off); !errors.As(err, &forged) {
				t.Errorf("%s: bit %d flipped: got %x, %v", s, bit, got, err)
			}
			msg[bit/8] ^= 1 << (bit % 8)
		}
		for n := range msg {
			if _, err := opener.Open(nil, msg[:n], off); err == nil {
				t.Errorf("%s: the first %d octets are accepted", s, n)
			}
		}
		if _, err := opener.Open(nil, msg, off); err != nil {
			t.Errorf("%s: the message as it was: %v", s, err)
		}
	}
}

func TestPaddingIsStrippedAndItsLengthChecked(t *testing.T) {
	// What a peer seals itself: any octets as padding, or a length that lies.
	s := suite.IKE{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA2_256128, PRF: suite.PRFHMACSHA256, Group: suite.X25519}
	encr, integ := testKeys(s)
	_, opener := endpoints(t, s)
	for _, c := range []struct {
		inner []byte
		want  int // octets of plaintext; -1 for a *PaddingError
	}{
		{append(bytes.Repeat([]byte{7}, 31), 0), 31},
		{append(bytes.Repeat([]byte{7}, 31), 31), 0},
		{append(bytes.Repeat([]byte{7}, 31), 30), 1},
		{append(bytes.Repeat([]byte{7}, 31), 32), -1},
		{append(bytes.Repeat([]byte{7}, 31), 255), -1},
	} {
		msg := append(make([]byte, 32), make([]byte, 16)...)
		block, err := aes.NewCipher(encr)
		if err != nil {
			t.Fatal(err)
		}
		ciphertext := make([]byte, len(c.inner))
		cipher.NewCBCEncrypter(block, msg[32:]).CryptBlocks(ciphertext, c.inner)
		msg = append(msg, ciphertext...)
		msg = append(msg, sum(suite.PRFHMACSHA256, integ, msg)[:16]...)
		got, err := opener.Open(nil, msg, 32)
		var padding *suite.PaddingError
		if c.want < 0 && !errors.As(err, &padding) || c.want >= 0 && (err != nil || len(got) != c.want) {
			t.Errorf("pad length %d: got %d octets, %v, want %d", c.inner[31], len(got), err, c.want)
		}
	}
}

func TestKeysOfTheWrongLengthAreRefused(t *testing.T) {
	for _, s := range ikeSuites(t) {
		encr, integ := testKeys(s)
		for _, keys := range [][2]suite.Secret{{encr[1:], integ}, {append(encr, 0), integ}, {nil, integ}, {encr, append(integ, 0)}} {
			var wrong *suite.KeyError
			if _, err := s.NewSealer(keys[0], keys[1]); !errors.As(err, &wrong) {
				t.Errorf("%s: sealer with keys of %d and %d octets: %v", s, len(keys[0]), len(keys[1]), err)
			}
			if _, err := s.NewOpener(keys[0], keys[1]); !errors.As(err, &wrong) {
				t.Errorf("%s: opener with keys of %d and %d octets: %v", s, len(keys[0]), len(keys[1]), err)
			}
		}
	}
	for _, s := range []suite.IKE{
		{}, {Encr: 3, Integ: 2}, {Encr: suite.EncrAESCBC, KeyLength: 256}, {Encr: suite.EncrAESCBC, Integ: 2},
		{Encr: suite.EncrAESGCM16, KeyLength: 128, Integ: 2}, {Encr: suite.EncrChaCha20Poly1305, KeyLength: 256},
	} {
		var unsupported *suite.UnsupportedError
		if err := s.Check(); !errors.As(err, &unsupported) {
			t.Errorf("%s passes: %v", s, err)
		}
		if _, err := s.NewSealer(make(suite.Secret, 32), make(suite.Secret, 20)); !errors.As(err, &unsupported) {
			t.Errorf("%s makes a sealer: %v", s, err)
		}
	}
}

func TestSealNeedsRandomnessForCBCAlone(t *testing.T) {
	for _, s := range ikeSuites(t) {
		sealer, _ := endpoints(t, s)
		_, err := sealer.Seal(nil, []byte("x"), bytes.NewReader(make([]byte, 15)))
		if (err != nil) != (s.Integ != suite.IntegNone) {
			t.Errorf("%s with 15 octets of randomness: %v", s, err)
		}
	}
}

func TestSealedMessagesOpen(t *testing.T) {
	suites := ikeSuites(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom(suites).Draw(rt, "suite")
		sealer, opener := endpoints(t, s)
		for range rapid.IntRange(1, 3).Draw(rt, "messages") {
			plaintext := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "plaintext")
			msg, off := sealed(t, sealer, plaintext)
			got, err := opener.Open(make([]byte, 3), msg, off)
			if err != nil || !bytes.Equal(got[3:], plaintext) {
				rt.Fatalf("got %x, %v, want %x", got, err, plaintext)
			}
			if most := sealer.MaxPlaintext(len(msg) - off); most < len(plaintext) || sealer.Len(most) > len(msg)-off || sealer.Len(most+1) <= len(msg)-off {
				rt.Fatalf("%s: %d octets of plaintext are said to be the most for a body of %d", s, most, len(msg)-off)
			}
		}
		if s.Integ != suite.IntegNone && sealer.MaxPlaintext(20) >= 0 {
			rt.Fatal("plaintext fits a body of 20 octets")
		}
	})
}

// Wycheproof's AEAD cases as bodies of an SK payload. The last octet of the
// plaintext is the pad length then.
func TestWycheproofAEAD(t *testing.T) {
	tried := map[suite.IKE]int{}
	for file, encr := range map[string]uint16{"aes_gcm_test.json": suite.EncrAESGCM16, "chacha20_poly1305_test.json": suite.EncrChaCha20Poly1305} {
		for _, group := range wycheproofGroups(t, file) {
			if group.IVSize != 96 || group.TagSize != 128 {
				continue // lengths that IKEv2 does not have
			}
			for _, test := range group.Tests {
				s := suite.IKE{Encr: encr}
				if encr == suite.EncrAESGCM16 {
					s.KeyLength = uint16(8 * len(test.Key))
				}
				opener, err := s.NewOpener(append(bytes.Clone(test.Key), test.IV[:4]...), nil)
				if err != nil {
					t.Fatal(err)
				}
				tried[s]++
				body := bytes.Join([][]byte{test.IV[4:], test.CT, test.Tag}, nil)
				got, err := opener.Open(nil, append(bytes.Clone(test.AAD), body...), len(test.AAD))
				end := len(test.Msg) - 1
				var padding *suite.PaddingError
				switch {
				case test.Result != "valid" || end < 0:
					var forged *suite.IntegrityError
					if !errors.As(err, &forged) {
						t.Errorf("%s test %d (%s) accepted", file, test.ID, test.Comment)
					}
				case int(test.Msg[end]) > end:
					if !errors.As(err, &padding) {
						t.Errorf("%s test %d (%s): got %v, want a *PaddingError", file, test.ID, test.Comment, err)
					}
				case err != nil:
					t.Errorf("%s test %d (%s): %v", file, test.ID, test.Comment, err)
				default:
					checkOctets(t, fmt.Sprintf("%s test %d", file, test.ID), got, test.Msg[:end-int(test.Msg[end])])
				}
			}
		}
	}
	if len(tried) != 4 {
		t.Errorf("tried %v, want three key lengths of AES-GCM and ChaCha20-Poly1305", tried)
	}
}

func FuzzOpen(f *testing.F) {
	suites := ikeSuites(f)
	for i, s := range suites {
		sealer, _ := endpoints(f, s)
		msg, off := sealed(f, sealer, []byte("a plaintext"))
		f.Add(uint8(i), msg, off)
		f.Add(uint8(i), msg[:off+3], off)
	}
	f.Fuzz(func(t *testing.T, which uint8, msg []byte, off int) {
		s := suites[int(which)%len(suites)]
		sealer, opener := endpoints(t, s)
		got, err := opener.Open(nil, msg, off)
		if err != nil {
			return
		}
		// Nothing opens but what the keys made: the seed, whose first vectors
		// are the same each time.
		original, originalOff := sealed(t, sealer, []byte("a plaintext"))
		if off != originalOff && s.Integ == suite.IntegNone || !bytes.Equal(msg, original) {
			t.Fatalf("%s: a forgery opened: %x at %d gives %x", s, msg, off, got)
		}
	})
}

func TestRestChangesNothingOnTheWire(t *testing.T) {
	for _, s := range ikeSuites(t) {
		rested, opener := endpoints(t, s)
		awake, _ := endpoints(t, s)
		for n := range 3 {
			plaintext := []byte{byte(n)}
			msg, off := sealed(t, rested, plaintext)
			if want, _ := sealed(t, awake, plaintext); s.Integ == suite.IntegNone && !bytes.Equal(msg, want) {
				t.Errorf("%s: message %d after a rest is %x, want %x", s, n, msg, want)
			}
			if got, err := opener.Open(nil, msg, off); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%s: message %d after a rest: %x, %v", s, n, got, err)
			}
			rested.Rest()
			opener.Rest()
		}
	}
}
