package transport

import "sync/atomic"

// Stats counts since Listen.
type Stats struct {
	IKEReceived, ESPReceived uint64 // datagrams given to the Handler
	IKESent, ESPSent         uint64 // datagrams the kernel took
	Keepalives               uint64 // NAT keepalives (RFC 3948 §2.3)

	// Received and dropped, by reason.
	RuntIKE     uint64 // shorter than an IKE header
	RuntESP     uint64 // shorter than an ESP header and trailer
	ReservedSPI uint64 // ESP with an SPI of 1 to 255 (RFC 4303 §2.1), or 0 over IP protocol 50
	Truncated   uint64 // longer than the receive buffer
	BadSource   uint64 // source port 0, which cannot be answered
	Kernel      uint64 // dropped by the kernel for want of buffer space (SO_RXQ_OVFL)

	// Sending.
	SendFailed   uint64 // datagrams refused by the kernel, e.g. no route
	SendBlocked  uint64 // IKE datagrams dropped because the queue was full
	GSOFallbacks uint64 // segmented sends repeated datagram by datagram
}

// counters are Stats as they are counted.
type counters struct {
	ikeReceived, espReceived, ikeSent, espSent, keepalives      atomic.Uint64
	runtIKE, runtESP, reservedSPI, truncated, badSource, kernel atomic.Uint64
	sendFailed, sendBlocked, gsoFallbacks                       atomic.Uint64
}

// Stats reads the counters.
func (t *Transport) Stats() Stats {
	c := &t.counters
	return Stats{
		IKEReceived: c.ikeReceived.Load(), ESPReceived: c.espReceived.Load(),
		IKESent: c.ikeSent.Load(), ESPSent: c.espSent.Load(),
		Keepalives: c.keepalives.Load(),
		RuntIKE:    c.runtIKE.Load(), RuntESP: c.runtESP.Load(), ReservedSPI: c.reservedSPI.Load(),
		Truncated: c.truncated.Load(), BadSource: c.badSource.Load(), Kernel: c.kernel.Load(),
		SendFailed: c.sendFailed.Load(), SendBlocked: c.sendBlocked.Load(), GSOFallbacks: c.gsoFallbacks.Load(),
	}
}
