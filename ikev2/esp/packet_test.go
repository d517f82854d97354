package esp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"hash"
	"math"
	"sync"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
	"pgregory.net/rapid"

	"bridgehead/ikev2/suite"
)

// naiveOpen decrypts by the standard library's modes and HMAC, as the RFCs put
// it, and gives the payload with its trailer.
func naiveOpen(sa SA, packet []byte, seq uint64) ([]byte, error) {
	high := binary.BigEndian.AppendUint32(nil, uint32(seq>>32))
	if sa.Suite.Encr == suite.EncrAESCBC {
		fresh := map[uint16]func() hash.Hash{2: sha1.New, 12: sha256.New, 13: sha512.New384, 14: sha512.New}[sa.Suite.Integ]
		icv := map[uint16]int{2: 12, 12: 16, 13: 24, 14: 32}[sa.Suite.Integ]
		body := packet[:len(packet)-icv]
		h := hmac.New(fresh, sa.IntegKey)
		h.Write(body)
		if sa.Suite.ESN {
			h.Write(high)
		}
		if !bytes.Equal(h.Sum(nil)[:icv], packet[len(body):]) {
			return nil, errors.New("HMAC differs")
		}
		block, err := aes.NewCipher(sa.EncrKey)
		if err != nil {
			return nil, err
		}
		plain := bytes.Clone(body[24:])
		cipher.NewCBCDecrypter(block, body[8:24]).CryptBlocks(plain, plain)
		return plain, nil
	}
	key, salt := sa.EncrKey[:len(sa.EncrKey)-4], sa.EncrKey[len(sa.EncrKey)-4:]
	var aead cipher.AEAD
	var err error
	if sa.Suite.Encr == suite.EncrAESGCM16 {
		var block cipher.Block
		if block, err = aes.NewCipher(key); err == nil {
			aead, err = cipher.NewGCM(block)
		}
	} else {
		aead, err = chacha20poly1305.New(key)
	}
	if err != nil {
		return nil, err
	}
	aad := packet[:8]
	if sa.Suite.ESN {
		aad = join(packet[:4], high, packet[4:8])
	}
	return aead.Open(nil, join(salt, packet[8:16]), packet[16:], aad)
}

func eachSuite(t *testing.T, f func(t *testing.T, s testSuite)) {
	for _, s := range testSuites() {
		t.Run(s.name, func(t *testing.T) { f(t, s) })
		t.Run(s.name+"-esn", func(t *testing.T) { f(t, s.withESN()) })
	}
}

func TestSealedPacketsOpenHereAndByTheStandardLibrary(t *testing.T) {
	eachSuite(t, func(t *testing.T, s testSuite) {
		rapid.Check(t, func(rt *rapid.T) {
			out, in := pair(t, s.sa())
			if rapid.Bool().Draw(rt, "late") && s.esp.ESN {
				start := rapid.Uint64Range(1<<33, 1<<40).Draw(rt, "start")
				out.used.Store(start)
				in.window.top.Store(start)
			}
			v6 := rapid.Bool().Draw(rt, "v6")
			n := rapid.IntRange(40, 2000).Draw(rt, "n")
			inner, next := ipv4Packet(n), uint8(4)
			if v6 {
				inner, next = ipv6Packet(n), 41
			}
			packet := seal(t, out, inner, next)
			if len(packet) > n+out.Overhead() || len(packet) != s.header+(n+2+s.pad-1)/s.pad*s.pad+s.icv {
				rt.Fatalf("packet of %d octets for an inner of %d, overhead %d", len(packet), n, out.Overhead())
			}
			if fit := out.MaxInner(len(packet)); fit < n || fit >= n+s.pad {
				rt.Fatalf("MaxInner(%d) = %d, an inner of %d was there", len(packet), fit, n)
			}
			plain, err := naiveOpen(s.sa(), packet, out.used.Load())
			if err != nil || !bytes.Equal(plain[:n], inner) {
				rt.Fatalf("standard library: %v, payload %x", err, plain)
			}
			got, nextHeader, err := in.Open(packet)
			if err != nil || nextHeader != next || !bytes.Equal(got, inner) {
				rt.Fatalf("Open: %v, next header %d, inner %x, want %x", err, nextHeader, got, inner)
			}
		})
	})
}

func TestMaxInnerIsTheLargestThatFits(t *testing.T) {
	eachSuite(t, func(t *testing.T, s testSuite) {
		out, _ := pair(t, s.sa())
		for size := range 1600 {
			n := out.MaxInner(size)
			if n > 0 && out.HeaderLen()+n+out.TrailerLen(n) > size {
				t.Fatalf("MaxInner(%d) = %d does not fit", size, n)
			}
			if out.HeaderLen()+n+1+out.TrailerLen(n+1) <= size {
				t.Fatalf("MaxInner(%d) = %d, one more fits too", size, n)
			}
		}
	})
}

func TestEveryBitIsAuthenticated(t *testing.T) {
	eachSuite(t, func(t *testing.T, s testSuite) {
		out, in := pair(t, s.sa())
		packet := seal(t, out, ipv4Packet(61), 4)
		for i := range len(packet) * 8 {
			bad := bytes.Clone(packet)
			bad[i/8] ^= 1 << (i % 8)
			if _, _, err := in.Open(bad); err == nil {
				t.Fatalf("accepted with bit %d of octet %d turned", i%8, i/8)
			}
		}
		for n := range packet {
			if _, _, err := in.Open(bytes.Clone(packet[:n])); err == nil {
				t.Fatalf("accepted %d of %d octets", n, len(packet))
			}
		}
		if _, _, err := in.Open(packet); err != nil {
			t.Fatalf("the packet itself, after forgeries: %v", err)
		}
		if _, _, err := in.Open(packet); err != ErrReplayed {
			t.Fatalf("second time: %v", err)
		}
	})
}

// The high half of the sequence number is not sent, but authenticated.
func TestExtendedSequenceNumberIsAuthenticated(t *testing.T) {
	for _, s := range testSuites() {
		out, in := pair(t, s.withESN().sa())
		in.window.top.Store(1 << 32)
		if _, _, err := in.Open(seal(t, out, ipv4Packet(40), 4)); err != ErrIntegrity {
			t.Errorf("%s: packet 1 taken for packet 2^32+1: %v", s.name, err)
		}
	}
}

func TestDropReasons(t *testing.T) {
	gcm := suite.ESP{Encr: 20, KeyLength: 128}
	sa := testSuite{esp: gcm, encrLen: 20}.sa()
	authentic := func(payload ...byte) []byte {
		tr, _, err := newTransform(sa, true)
		if err != nil {
			t.Fatal(err)
		}
		packet := join(unhex("c0ffee0100000001"), make([]byte, 8), payload, make([]byte, 16))
		tr.seal(packet, 1)
		return packet
	}
	v4 := ipv4Packet(20)
	long, padded := ipv4Packet(22), join(v4, make([]byte, 400))
	binary.BigEndian.PutUint16(long[2:], 24)
	for _, c := range []struct {
		name   string
		packet []byte
		want   error
		inner  []byte
	}{
		{"empty", nil, ErrShort, nil},
		{"no trailer", authentic(), ErrShort, nil},
		{"unaligned", authentic(join(v4, []byte{1, 2, 3, 3, 4})...), ErrAlignment, nil},
		{"foreign SPI", join(unhex("c0ffee0200000001"), make([]byte, 40)), ErrSPI, nil},
		{"sequence number 0", join(unhex("c0ffee0100000000"), make([]byte, 40)), ErrTooOld, nil},
		{"forged", join(unhex("c0ffee0100000001"), make([]byte, 40)), ErrIntegrity, nil},
		{"padding longer than the payload", authentic(1, 2, 3, 4, 5, 6, 7, 4), ErrPadding, nil},
		{"padding does not count", authentic(join(v4, []byte{1, 3, 2, 4})...), ErrPadding, nil},
		{"dummy", authentic(9, 9, 0, 59), ErrDummy, nil},
		{"transport mode", authentic(join(v4, []byte{1, 2, 2, 17})...), ErrNextHeader, nil},
		{"IPv4 announced as IPv6", authentic(join(v4, []byte{1, 2, 2, 41})...), ErrInnerPacket, nil},
		{"length field lies", authentic(join(long, []byte{0, 4})...), ErrInnerPacket, nil},
		{"cut off header", authentic(join(v4[:18], []byte{0, 4})...), ErrInnerPacket, nil},
		{"traffic flow padding", authentic(join(padded, []byte{1, 2, 2, 4})...), nil, v4},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, in := pair(t, sa)
			inner, _, err := in.Open(c.packet)
			if err != c.want || !bytes.Equal(inner, c.inner) {
				t.Errorf("got %x, %v, want %x, %v", inner, err, c.inner, c.want)
			}
		})
	}
}

func TestForgeriesDoNotMoveTheWindow(t *testing.T) {
	out, in := pair(t, testSuites()[0].sa())
	good := seal(t, out, ipv4Packet(40), 4)
	forged := bytes.Clone(good)
	binary.BigEndian.PutUint32(forged[4:], 1<<31)
	if _, _, err := in.Open(forged); err != ErrIntegrity {
		t.Fatal(err)
	}
	if _, _, err := in.Open(good); err != nil {
		t.Errorf("good packet after a forgery far ahead: %v", err)
	}
}

func TestSequenceNumbersNeverWrap(t *testing.T) {
	s := testSuites()[0]
	for _, c := range []struct {
		suite testSuite
		last  uint64
	}{{s, math.MaxUint32}, {s.withESN(), math.MaxUint64 - 1<<32}} {
		out, _ := pair(t, c.suite.sa())
		out.used.Store(c.last - 1)
		if got := out.Remaining(); got != 1 {
			t.Errorf("%s: %d remaining, want 1", c.suite.name, got)
		}
		packet := seal(t, out, ipv4Packet(40), 4)
		if got := binary.BigEndian.Uint32(packet[4:]); got != uint32(c.last) {
			t.Errorf("%s: sequence number %d, want the last one, %d", c.suite.name, got, uint32(c.last))
		}
		for range 3 {
			buf := make([]byte, 200)
			if _, err := out.Seal(buf, 100, 20, 4); err != ErrSequenceExhausted {
				t.Fatalf("%s: after the last number: %v", c.suite.name, err)
			}
		}
		if got := out.Remaining(); got != 0 {
			t.Errorf("%s: %d remaining at the end", c.suite.name, got)
		}
	}
}

func TestExtendedSequenceNumbersCross32Bits(t *testing.T) {
	for _, s := range testSuites() {
		out, in := pair(t, s.withESN().sa())
		start := uint64(1<<32 - 600)
		out.used.Store(start)
		in.window.top.Store(start)
		var held []byte // one packet from before the boundary arrives after it
		for i := range 1200 {
			packet := seal(t, out, ipv4Packet(40), 4)
			if i == 590 {
				held = packet
				continue
			}
			if _, _, err := in.Open(packet); err != nil {
				t.Fatalf("%s: packet %d: %v", s.name, start+uint64(i)+1, err)
			}
		}
		if _, _, err := in.Open(held); err != nil {
			t.Errorf("%s: late packet from before 2^32: %v", s.name, err)
		}
		if got, want := in.window.top.Load(), start+1200; got != want {
			t.Errorf("%s: window at %d, want %d", s.name, got, want)
		}
	}
}

func TestSealRefusesBuffersWithoutRoom(t *testing.T) {
	out, _ := pair(t, testSuites()[0].sa())
	buf := make([]byte, 200)
	room := len(buf) - 100
	for _, c := range []struct{ off, n int }{
		{out.HeaderLen() - 1, 40}, {-1, 40}, {100, -1}, {100, room}, {100, room - 20},
		{201, 0}, {math.MaxInt, 1}, {100, math.MaxInt},
	} {
		if _, err := out.Seal(buf, c.off, c.n, 4); err != ErrBuffer {
			t.Errorf("off %d, n %d: %v, want ErrBuffer", c.off, c.n, err)
		}
	}
	if out.used.Load() != 0 {
		t.Error("a refused buffer used up a sequence number")
	}
}

func TestCBCInitializationVectorsDifferAndAreNotTheCounter(t *testing.T) {
	out, _ := pair(t, testSuites()[0].sa())
	seen := map[string]bool{}
	for i := range 1000 {
		iv := seal(t, out, ipv4Packet(40), 4)[8:24]
		if seen[string(iv)] || binary.BigEndian.Uint64(iv[8:]) == uint64(i+1) {
			t.Fatalf("IV %x of packet %d", iv, i+1)
		}
		seen[string(iv)] = true
	}
}

// A nonce that repeats under a key breaks GCM and ChaCha20-Poly1305: the IV is
// all 64 bits of the sequence number, beyond 2^32 too.
func TestAEADInitializationVectorsAreTheWholeCounter(t *testing.T) {
	for _, s := range testSuites() {
		if !s.esp.AEAD() {
			continue
		}
		out, _ := pair(t, s.withESN().sa())
		for _, used := range []uint64{0, 1<<32 - 2, 1<<32 - 1, 1 << 32, 7<<32 + 5} {
			out.used.Store(used)
			iv := seal(t, out, ipv4Packet(40), 4)[8:16]
			if got := binary.BigEndian.Uint64(iv); got != used+1 {
				t.Errorf("%s: IV %#x of packet %#x", s.name, got, used+1)
			}
		}
	}
}

func TestManyGoroutinesShareOneSA(t *testing.T) {
	const workers, each = 4, 200
	for _, s := range testSuites() {
		out, in := pair(t, s.sa())
		packets := make(chan []byte, workers*each)
		var sealing, opening sync.WaitGroup
		for range workers {
			sealing.Go(func() {
				for range each {
					packets <- seal(t, out, ipv4Packet(100), 4)
				}
			})
		}
		sealing.Wait()
		close(packets)
		var accepted, replayed sync.Map
		for range workers {
			opening.Go(func() {
				for p := range packets {
					again := bytes.Clone(p)
					seq := binary.BigEndian.Uint32(p[4:])
					if _, _, err := in.Open(p); err == nil {
						accepted.Store(seq, true)
					}
					if _, _, err := in.Open(again); err == ErrReplayed {
						replayed.Store(seq, true)
					}
				}
			})
		}
		opening.Wait()
		for seq := uint32(1); seq <= workers*each; seq++ {
			_, once := accepted.Load(seq)
			_, twice := replayed.Load(seq)
			if !once || !twice {
				t.Fatalf("%s: packet %d accepted %v, its copy refused as a replay %v", s.name, seq, once, twice)
			}
		}
	}
}

func TestKeysOfTheWrongLengthAreRefused(t *testing.T) {
	good := testSuites()
	for _, c := range []struct {
		name string
		edit func(*SA)
	}{
		{"short encryption key", func(sa *SA) { sa.EncrKey = sa.EncrKey[1:] }},
		{"no encryption key", func(sa *SA) { sa.EncrKey = nil }},
		{"long encryption key", func(sa *SA) { sa.EncrKey = append(sa.EncrKey[:len(sa.EncrKey):len(sa.EncrKey)], 1) }},
		{"integrity key", func(sa *SA) { sa.IntegKey = append(suite.Secret{1}, sa.IntegKey...) }},
		{"unknown encryption", func(sa *SA) { sa.Suite.Encr = 3 }},
		{"other integrity", func(sa *SA) {
			if sa.Suite.Integ++; sa.Suite.Integ == 1 { // an AEAD's
				sa.Suite.Integ = suite.IntegHMACSHA2_256128
			}
		}},
		{"odd key length", func(sa *SA) { sa.Suite.KeyLength = 64 }},
	} {
		for _, s := range good {
			sa := s.sa()
			c.edit(&sa)
			var refused *SuiteError
			if _, err := NewInbound(sa); !errors.As(err, &refused) || refused.SPI != testSPI {
				t.Errorf("%s with %s: inbound %v", s.name, c.name, err)
			}
			if _, err := NewOutbound(sa); !errors.As(err, &refused) {
				t.Errorf("%s with %s: outbound %v", s.name, c.name, err)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	suites := testSuites()
	for i, s := range suites {
		out, _ := pair(f, s.sa())
		f.Add(uint8(i), seal(f, out, ipv4Packet(40), 4))
		f.Add(uint8(i), join(ipv6Packet(60), []byte{1, 2, 2, 41}))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		s := suites[int(which)%len(suites)]
		out, in := pair(t, s.sa())
		if inner, _, err := in.Open(bytes.Clone(data)); err == nil {
			if _, err := naiveOpen(s.sa(), data, uint64(binary.BigEndian.Uint32(data[4:]))); err != nil {
				t.Fatalf("accepted %x, inner %x, that does not verify: %v", data, inner, err)
			}
		}
		// The same octets as an authentic peer's payload.
		n := len(data) / s.pad * s.pad
		packet := join(unhex("c0ffee0100000001"), make([]byte, s.header-8), data[:n], make([]byte, s.icv))
		out.transform.seal(packet, 1)
		inner, next, err := in.Open(packet)
		if err != nil {
			return
		}
		version := map[uint8]byte{4: 4, 41: 6}[next]
		if len(inner) < 20 || inner[0]>>4 != version || !bytes.HasPrefix(data, inner) {
			t.Fatalf("next header %d, inner %x out of %x", next, inner, data)
		}
	})
}
