package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableChange is an nftables table of our own, family inet. A table of that
// name left by a crash is replaced.
type tableChange struct {
	Name string `json:"name"`

	// What apply puts into the table; undo needs only the name.
	device     string // the tunnel's; empty: clients' packets are known by their addresses alone
	pools      []netip.Prefix
	masquerade bool
	clampMSS   bool
}

func (c *tableChange) String() string { return fmt.Sprintf("nftables table inet %s", c.Name) }

func (c *tableChange) table() *nftables.Table {
	return &nftables.Table{Name: c.Name, Family: nftables.TableFamilyINet}
}

// apply replaces the table in one transaction: adding it first makes deleting
// it succeed whether it was there or not.
func (c *tableChange) apply() error {
	conn, err := nftables.New()
	if err != nil {
		return failed(err, "reach nftables")
	}
	table := c.table()
	conn.AddTable(table)
	conn.DelTable(table)
	conn.AddTable(table)
	if c.masquerade {
		c.addMasquerade(conn, table)
	}
	if c.clampMSS {
		c.addClamp(conn, table)
	}
	return failed(conn.Flush(), "create the %v", c)
}

// NoTables tells why this kernel makes no nftables table of family inet; nil: it
// does, or could if this process had the right.
func NoTables() error {
	conn, err := nftables.New()
	if err != nil {
		return failed(err, "reach nftables")
	}
	trial := (&tableChange{Name: "bridgehead-trial"}).table()
	conn.AddTable(trial)
	conn.DelTable(trial) // in the same transaction: nobody ever sees it
	err = conn.Flush()
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT) {
		return failed(err, "create an nftables table")
	}
	return nil
}

func (c *tableChange) undo() error {
	conn, err := nftables.New()
	if err != nil {
		return failed(err, "reach nftables")
	}
	conn.DelTable(c.table())
	if err := conn.Flush(); !errors.Is(err, syscall.ENOENT) {
		return failed(err, "delete the %v", c)
	}
	return nil
}

// addMasquerade hides the clients' addresses behind the machine's own. Clients
// reach each other as they are: through the tunnel's interface or, where they
// have none of their own, at the pools' addresses.
func (c *tableChange) addMasquerade(conn *nftables.Conn, table *nftables.Table) {
	chain := conn.AddChain(&nftables.Chain{
		Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	rule := func(exprs ...expr.Any) {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	}
	if c.device == "" {
		for _, p := range c.pools {
			rule(append(matchAddress(p, destination), &expr.Verdict{Kind: expr.VerdictAccept})...)
		}
	}
	for _, p := range c.pools {
		exprs := matchAddress(p, source)
		if c.device != "" {
			exprs = append(exprs, matchInterface(expr.MetaKeyOIFNAME, expr.CmpOpNeq, c.device)...)
		}
		rule(append(exprs, &expr.Masq{})...)
	}
}

// addClamp lowers the MSS of clients' TCP connections to what fits the smaller
// MTU of both ways; the kernel never raises it.
func (c *tableChange) addClamp(conn *nftables.Conn, table *nftables.Table) {
	chain := conn.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityMangle,
	})
	var clients [][]expr.Any
	if c.device != "" {
		for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
			clients = append(clients, matchInterface(key, expr.CmpOpEq, c.device))
		}
	} else {
		for _, p := range c.pools {
			clients = append(clients, matchAddress(p, source), matchAddress(p, destination))
		}
	}
	for _, exprs := range clients {
		exprs = append(append(exprs, matchSYN()...), setMSS()...)
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	}
}

// register is the one register that the rules compute in.
const register = 1

func matchInterface(key expr.MetaKey, op expr.CmpOp, device string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, device)
	return []expr.Any{
		&expr.Meta{Key: key, Register: register},
		&expr.Cmp{Op: op, Register: register, Data: name},
	}
}

// end is one of the two addresses of a packet.
type end uint32

const (
	source end = iota
	destination
)

// matchFamily matches packets of a family.
func matchFamily(ipv4 bool) []expr.Any {
	family := byte(unix.NFPROTO_IPV6)
	if ipv4 {
		family = unix.NFPROTO_IPV4
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{family}},
	}
}

// loadAddress matches packets of a family and loads an address.
func loadAddress(ipv4 bool, which end) []expr.Any {
	offset, length := uint32(8), uint32(16) // RFC 8200 §3
	if ipv4 {
		offset, length = 12, 4 // RFC 791 §3.1
	}
	return append(matchFamily(ipv4),
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset + uint32(which)*length, Len: length})
}

// matchAddress matches packets of p's family of which an address lies in p.
func matchAddress(p netip.Prefix, which end) []expr.Any {
	addr := p.Masked().Addr().AsSlice()
	length := uint32(len(addr))
	return append(loadAddress(p.Addr().Is4(), which),
		&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: length,
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, length),
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: addr})
}

// matchSYN matches TCP packets with SYN and without RST, which carry the MSS.
func matchSYN() []expr.Any {
	const flagsOffset, syn, rst = 13, 0x02, 0x04 // RFC 9293 §3.1
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: flagsOffset, Len: 1},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{syn | rst}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{syn}},
	}
}

// setMSS writes the route's MSS into the option (RFC 9293 §3.2: kind 2, the
// value after two octets).
func setMSS() []expr.Any {
	const maxSegmentSize = 2
	return []expr.Any{
		&expr.Rt{Register: register, Key: expr.RtTCPMSS},
		&expr.Byteorder{SourceRegister: register, DestRegister: register, Op: expr.ByteorderHton, Len: 2, Size: 2},
		&expr.Exthdr{SourceRegister: register, Type: maxSegmentSize, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	}
}
