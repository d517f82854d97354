package hostnet

import (
	"errors"
	"fmt"
	"path/filepath"
)

// A change is one step that can be undone, also by another process that knows
// only what the journal holds. Undoing what was never done, or was undone
// before, does nothing.
type change interface {
	fmt.Stringer
	apply() error
	undo() error
}

// entry is a change in the journal; exactly one field is set.
type entry struct {
	Sysctl     *sysctlChange     `json:"sysctl,omitempty"`
	Forwarding *forwardingChange `json:"forwarding,omitempty"`
	Link       *linkChange       `json:"link,omitempty"`
	Address    *addressChange    `json:"address,omitempty"`
	Route      *routeChange      `json:"route,omitempty"`
	Table      *tableChange      `json:"table,omitempty"`
}

// change is the field that is set, or nil.
func (e entry) change() change {
	switch {
	case e.Sysctl != nil:
		return e.Sysctl
	case e.Forwarding != nil:
		return e.Forwarding
	case e.Link != nil:
		return e.Link
	case e.Address != nil:
		return e.Address
	case e.Route != nil:
		return e.Route
	case e.Table != nil:
		return e.Table
	}
	return nil
}

// check refuses an entry that this package would not have written.
func (e entry) check() error {
	if e.change() == nil {
		return errors.New("the line names no change")
	}
	switch c := e.change().(type) {
	case *sysctlChange:
		return c.Key.check()
	case *forwardingChange:
		if c.Family != IPv4 && c.Family != IPv6 {
			return fmt.Errorf("there is no address family %d", c.Family)
		}
		for key := range c.Old {
			if err := key.check(); err != nil {
				return err
			}
		}
	case *addressChange:
		if !c.Address.IsValid() {
			return errors.New("the address is missing")
		}
	case *routeChange:
		if !c.Destination.IsValid() {
			return errors.New("the destination is missing")
		}
	}
	return nil
}

func (s sysctl) check() error {
	if !filepath.IsLocal(string(s)) {
		return fmt.Errorf("%q is not the path of a kernel setting", string(s))
	}
	return nil
}
