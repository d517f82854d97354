package suite_test

import (
	"crypto/rand"
	"runtime"
	"strings"
	"testing"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

func BenchmarkGroup(b *testing.B) {
	for _, g := range allGroups {
		peer, err := g.Generate(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(g.String()+"/generate", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Generate(rand.Reader); err != nil {
					b.Fatal(err)
				}
			}
		})
		key, err := g.Generate(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(g.String()+"/shared", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Shared(peer.Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDerive(b *testing.B) {
	shared, nonce := make(suite.Secret, 256), make([]byte, 32)
	for _, s := range ikeSuites(b) {
		b.Run(s.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Derive(shared, nonce, nonce, message.SPI{1}, message.SPI{2})
			}
		})
	}
	b.Run("child", func(b *testing.B) {
		b.ReportAllocs()
		s := suite.ESP{Encr: suite.EncrAESGCM16, KeyLength: 128}
		for b.Loop() {
			s.Derive(suite.PRFHMACSHA256, shared[:32], nil, nonce, nonce)
		}
	})
}

func BenchmarkSealOpen(b *testing.B) {
	sizes := map[string]int{"300": 300, "1200": 1200}
	for _, s := range ikeSuites(b) {
		sealer, opener := endpoints(b, s)
		for name, size := range sizes {
			plaintext := make([]byte, size)
			msg, off := sealed(b, sealer, plaintext)
			room := make([]byte, 0, 2*len(msg))
			b.Run("seal/"+s.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := sealer.Seal(room[:off], plaintext, rand.Reader); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("open/"+s.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := opener.Open(room, msg, off); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkMemory reports what the Sealer and the Opener of an IKE SA hold,
// with the octets of their keys.
func BenchmarkMemory(b *testing.B) {
	for _, s := range ikeSuites(b) {
		b.Run(s.String(), func(b *testing.B) {
			const sessions = 1000
			var before, after runtime.MemStats
			for b.Loop() {
				held := make([]any, 0, 2*sessions)
				runtime.GC()
				runtime.ReadMemStats(&before)
				for range sessions {
					sealer, opener := endpoints(b, s)
					held = append(held, sealer, opener)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(held)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sessions, "B/SA")
		})
	}
}

func BenchmarkSign(b *testing.B) {
	signed := make([]byte, 700)
	for scheme, name := range everyScheme(b) {
		key := testSigners()[name]
		a, err := scheme.Sign(rand.Reader, key, signed)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(scheme.String()+"/sign", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scheme.Sign(rand.Reader, key, signed); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(scheme.String()+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := suite.VerifySignature(key.Public(), a, signed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	for name, list := range map[string]string{
		"windows": windows2048 + "," + windows10, "strongswan": strongswanIKE + "," + strongswanIKEAEAD,
		// As many transforms as a datagram holds, the choice being the last.
		"hostile": strings.Repeat(strings.Repeat("aes128 ", 200)+"prfsha1,", 39) + "aes128 sha1 ecp256",
	} {
		offered := offer(b, ike, 1, list)
		configured := suite.DefaultIKE()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := suite.SelectFor(configured, offered, suite.GatewayOrder, suite.ECP256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
