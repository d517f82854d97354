package tunnel

import (
	"io"
	"testing"
)

// BenchmarkTCPStream sends one TCP stream from one network namespace to
// another through two tunnels, both on this machine.
func BenchmarkTCPStream(b *testing.B) {
	for _, name := range []string{"aes128gcm16", "aes256-sha1", "chacha20poly1305"} {
		b.Run(name, func(b *testing.B) {
			hosts := newWorld(b, nil)
			install(b, hosts, pair(hosts, name, 1, false, true))
			client, server := connect(b, hosts, hosts[1].inner4)
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			b.ResetTimer()
			received := make(chan error, 1)
			go func() {
				_, err := io.CopyN(io.Discard, server, int64(b.N)*int64(len(chunk)))
				received <- err
			}()
			for range b.N {
				if _, err := client.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-received; err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)*float64(len(chunk))*8/1e9/b.Elapsed().Seconds(), "Gbit/s")
		})
	}
}
