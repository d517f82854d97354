package hostnet

import (
	"errors"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// proxyTable is the kernel's table of addresses that it answers for on behalf
// of others: by ARP (RFC 1027) and by NDP (RFC 4861 §7.2.8). It belongs to the
// network namespace in which it was opened.
type proxyTable struct{ socket *nl.SocketHandle }

func openProxyTable() (*proxyTable, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, failed(err, "reach the kernel's neighbour tables")
	}
	if err := s.SetExtAck(true); err != nil {
		s.Close()
		return nil, failed(err, "ask the kernel for its reasons")
	}
	return &proxyTable{&nl.SocketHandle{Socket: s}}, nil
}

func (t *proxyTable) close() { t.socket.Close() }

// has tells whether there is an entry, whoever made it.
func (t *proxyTable) has(link int, a netip.Addr) (bool, error) {
	err := t.execute(unix.RTM_GETNEIGH, 0, 0, link, a)
	if errors.Is(err, syscall.ENOENT) {
		return false, nil
	}
	return err == nil, failed(err, "look up the neighbour proxy for %v", a)
}

// add makes an entry, or nothing if it is there: the kernel does not tell.
func (t *proxyTable) add(link int, a netip.Addr) error {
	// A permanent entry stays when the cable is pulled, on kernels that can
	// tell the difference.
	err := t.execute(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_ACK, netlink.NUD_PERMANENT, link, a)
	return failed(err, "answer for %v", a)
}

// remove deletes an entry; one that is not there is no error.
func (t *proxyTable) remove(link int, a netip.Addr) error {
	err := t.execute(unix.RTM_DELNEIGH, unix.NLM_F_ACK, 0, link, a)
	if errors.Is(err, syscall.ENOENT) || isGone(err) {
		return nil
	}
	return failed(err, "stop answering for %v", a)
}

func (t *proxyTable) execute(kind, flags int, state uint16, link int, a netip.Addr) error {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: t.socket}
	// Allocated and then filled: its padding goes to the kernel, too, which
	// wants zeros there.
	msg := new(netlink.Ndmsg)
	msg.Family, msg.Index = uint8(familyOf(a).netlink()), uint32(link)
	msg.State, msg.Flags = state, netlink.NTF_PROXY
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(netlink.NDA_DST, a.AsSlice()))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
