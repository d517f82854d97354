package tunnel

import (
	"context"
	"errors"
	"sync"

	"golang.zx2c4.com/wireguard/tun"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

// Tunnel is a TUN device and the Child SAs that its packets go through.
type Tunnel struct {
	config Config
	name   string
	queues []tun.Device
	drops  dropCounters

	// Read without locking by the goroutines that move packets.
	spis   *table[uint32, child]
	routes *routes

	mu       sync.Mutex // guards children and limits, and writing to spis and routes
	children map[esp.ChildID]*child
	limits   map[string]*limits // by session, of those that have some

	answers answerer

	writersMu sync.Mutex
	writers   []*writer // idle ones
	opened    int       // writers made so far

	endOnce         sync.Once
	fault, closeErr error // set by end
}

// Open makes the TUN device; it neither brings it up nor gives it addresses or
// routes. The error is a *DeviceError. Packets move once Run is called and the
// transport delivers to the Tunnel.
func Open(c Config) (*Tunnel, error) {
	c = c.withDefaults()
	if c.MTU < minMTU || c.MTU > maxPacket {
		return nil, &DeviceError{Name: c.Device, Err: errMTU}
	}
	queues := c.Devices
	if len(queues) == 0 {
		var err error
		if queues, err = openDevice(c.Device, c.MTU, c.Queues); err != nil {
			return nil, err
		}
	}
	name, err := queues[0].Name()
	if err != nil {
		return nil, &DeviceError{Name: c.Device, Err: errors.Join(err, closeAll(queues))}
	}
	return &Tunnel{
		config: c, name: name, queues: queues,
		spis: newTable[uint32, child](), routes: newRoutes(),
		children: map[esp.ChildID]*child{}, limits: map[string]*limits{},
	}, nil
}

// Name is the interface's name.
func (t *Tunnel) Name() string { return t.name }

// MTU is the MTU of the device.
func (t *Tunnel) MTU() int { return t.config.MTU }

// Run moves packets from the device to the peers until ctx ends, which closes
// the device, or Close is called. It returns nil then; a *DeviceError if the
// device failed or somebody removed it.
func (t *Tunnel) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for _, q := range t.queues {
		workers.Go(func() { t.end(newOutbound(t, q).run()) })
		// A device from elsewhere may report its going up and down. Nothing here
		// needs to know, but the reports must be taken.
		workers.Go(func() {
			for range q.Events() {
			}
		})
	}
	stop := context.AfterFunc(ctx, func() { t.end(nil) })
	defer stop()
	workers.Wait()
	return errors.Join(t.fault, t.closeErr)
}

// end closes the device, which ends all workers. The first cause counts: what
// the others meet is its consequence.
func (t *Tunnel) end(fault error) {
	t.endOnce.Do(func() {
		if fault != nil {
			t.fault = &DeviceError{Name: t.name, Err: fault}
		}
		t.closeErr = closeAll(t.queues)
	})
}

// Close removes the device and ends Run.
func (t *Tunnel) Close() error {
	t.end(nil)
	return t.closeErr
}

// HandleESP opens a batch and writes the inner packets to the device. It is
// called by the transport's readers, several at once.
func (t *Tunnel) HandleESP(batch []transport.ESPDatagram) {
	w := t.takeWriter()
	w.handle(batch)
	t.writersMu.Lock()
	t.writers = append(t.writers, w)
	t.writersMu.Unlock()
}

// takeWriter gives an idle writer; there are as many as HandleESP ever had
// calls at once.
func (t *Tunnel) takeWriter() *writer {
	t.writersMu.Lock()
	defer t.writersMu.Unlock()
	if n := len(t.writers); n > 0 {
		w := t.writers[n-1]
		t.writers = t.writers[:n-1]
		return w
	}
	w := newWriter(t, t.queues[t.opened%len(t.queues)])
	t.opened++
	return w
}
