package xfrm

import (
	"errors"
	"sync/atomic"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// monitor reads the kernel's events in a goroutine of its own, which ends with
// close.
type monitor struct {
	plane  *Plane
	socket *socket
	ending atomic.Bool
	done   chan error
}

func newMonitor(p *Plane) (*monitor, error) {
	s, err := openSocket(nl.XFRMNLGRP_EXPIRE, nl.XFRMNLGRP_MAPPING)
	if err != nil {
		return nil, err
	}
	m := &monitor{plane: p, socket: s, done: make(chan error, 1)}
	go func() { m.done <- m.run() }()
	return m, nil
}

func (m *monitor) close() error {
	m.ending.Store(true)
	return errors.Join(m.socket.close(), <-m.done)
}

func (m *monitor) run() error {
	for {
		ms, err := m.socket.receive()
		switch {
		case err != nil && m.ending.Load():
			return nil
		case errors.Is(err, unix.ENOBUFS):
			continue // events were lost; RekeyGrace and Reconcile make up for them
		case err != nil:
			return err
		}
		for _, e := range ms {
			switch e.kind {
			case nl.XFRM_MSG_MAPPING:
				m.plane.mapped(e.body)
			case nl.XFRM_MSG_EXPIRE:
				m.plane.expired(e.body)
			}
		}
	}
}

// mapped reports where an authentic packet came from, unless the Child SA has
// been moved there.
func (p *Plane) mapped(body []byte) {
	e, err := parseMapping(body)
	if err != nil {
		return
	}
	p.mu.Lock()
	c := p.inbound[e.id]
	known := c == nil || c.ending != nil || c.Path.Remote == e.source || c.expected != nil && c.expected.Remote == e.source
	p.mu.Unlock()
	if !known {
		p.config.OnEvent(Event{Kind: Rebound, Child: c.ID, Remote: e.source})
	}
}

// expired lets a Child SA that waited begin to send, or reports one whose
// sequence numbers will end. States have no other limits.
func (p *Plane) expired(body []byte) {
	e, err := parseExpiry(body)
	if err != nil || e.hard {
		return
	}
	p.mu.Lock()
	in, out := p.inbound[e.id], p.outbound[e.id]
	p.mu.Unlock()
	if in != nil {
		p.takeOver(in)
	}
	if out != nil {
		p.config.OnEvent(Event{Kind: Exhausting, Child: out.ID})
	}
}
