package ikev2

import (
	"encoding/binary"
	"encoding/hex"
	"io"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// registrar hands out what must be unique: SPIs, Child ids, session ids. Each
// shard has its own and puts its index into what it hands out, so no two
// shards need to agree.
type registrar struct {
	index    uint8
	rand     io.Reader
	counters *counters
	sas      map[message.SPI]*SA       // the shard's, by our SPI
	espSPIs  map[uint32]struct{}       // inbound SPIs in use
	children map[esp.ChildID]*SA       // who has them
	born     uint64                    // Child ids handed out
	ending   map[string][]chan<- error // who waits for the end of a session
}

func newRegistrar(index uint8, rand io.Reader) *registrar {
	return &registrar{
		index: index, rand: rand, counters: new(counters),
		sas: make(map[message.SPI]*SA), espSPIs: make(map[uint32]struct{}), children: make(map[esp.ChildID]*SA),
		ending: make(map[string][]chan<- error),
	}
}

func (r *registrar) count(c Counter) { r.counters[c].Add(1) }

// octets gives n random octets.
func (r *registrar) octets(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.rand, b); err != nil {
		return nil, &GatewayFault{Cause: CauseInternal, Err: err}
	}
	return b, nil
}

// ikeSPI gives an unused SPI of ours; its first octet leads packets to the
// shard.
func (r *registrar) ikeSPI() (message.SPI, error) {
	for {
		b, err := r.octets(8)
		if err != nil {
			return message.SPI{}, err
		}
		spi := message.SPI(b)
		spi[0] = r.index
		if r.sas[spi] == nil && !spi.IsZero() {
			return spi, nil
		}
	}
}

// espSPI gives an unused inbound SPI. Its first octet is the shard's index
// plus one, so that it is never one of the reserved 0 to 255 (RFC 4303 §2.1).
func (r *registrar) espSPI() (uint32, error) {
	for {
		b, err := r.octets(4)
		if err != nil {
			return 0, err
		}
		b[0] = r.index + 1
		spi := binary.BigEndian.Uint32(b)
		if _, used := r.espSPIs[spi]; !used {
			r.espSPIs[spi] = struct{}{}
			return spi, nil
		}
	}
}

// releaseSPI makes an inbound SPI free again.
func (r *registrar) releaseSPI(spi uint32) { delete(r.espSPIs, spi) }

// forgetChild makes a Child SA's inbound SPI free again and its owner unknown.
func (r *registrar) forgetChild(c child) {
	r.releaseSPI(c.in)
	delete(r.children, c.id)
}

// childID gives a Child id that was never used before.
func (r *registrar) childID() esp.ChildID {
	r.born++
	return esp.ChildID(uint64(r.index)<<childIndexShift | r.born)
}

// childIndexShift is where in a Child id its shard's index stands.
const childIndexShift = 56

// shardOf is the index of the shard that handed out a Child id.
func shardOf(id esp.ChildID) int { return int(id >> childIndexShift) }

// sessionID gives a name for a login and the session it becomes: 16
// hexadecimal digits.
func (r *registrar) sessionID() (string, error) {
	b, err := r.octets(8)
	return hex.EncodeToString(b), err
}
