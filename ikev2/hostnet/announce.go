package hostnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AnnounceConfig says where and how an Announcer works.
type AnnounceConfig struct {
	// Journal is a file of the Announcer's own. Entries are written down there
	// before they are made.
	Journal string
	// Link is the interface whose neighbours ask.
	Link string
	// Pools tell which families will be announced.
	Pools []netip.Prefix
	// SetSysctls switches net.ipv6.conf.LINK.proxy_ndp on where IPv6 is to be
	// announced and it is off, until Close; without it, IPv6 is not answered for
	// there. It also sets proxy_delay of the link to 0, as far as the machine
	// lets it: the kernel else lets up to 0.8 s pass before each answer, and
	// drops the rest of many questions at once. The delay lets a neighbour itself
	// answer first (RFC 4861 §7.2.8); a client of ours is not on the link.
	SetSysctls bool
	Logger     *slog.Logger // of Run
}

// Announcer answers ARP and NDP for addresses behind this machine, by entries
// in the kernel's tables of neighbour proxies. The kernel uses them if it
// forwards on the link, and if it routes the address to another link. An entry
// that somebody else has made is theirs: it is neither changed nor removed.
//
// An Announcer is safe for concurrent use. Its netlink requests concern the
// network namespace of the thread that called OpenAnnouncer; Close must be
// called in the same one.
type Announcer struct {
	link   string
	logger *slog.Logger
	table  *proxyTable
	events *nl.NetlinkSocket // of links
	seen   uint32            // flags that the last event of the link told; Run's

	mu     sync.Mutex
	index  int                   // of link, guarded by mu
	ledger *ledger[announcement] // guarded by mu
}

// announcement is something that an Announcer has made; exactly one of Proxy
// and Sysctl is set.
type announcement struct {
	Boot   string        `json:"boot"` // in which it was made; empty: unknown
	Proxy  *proxyEntry   `json:"proxy,omitempty"`
	Sysctl *sysctlChange `json:"sysctl,omitempty"`
}

type proxyEntry struct {
	Link    string     `json:"link"`
	Address netip.Addr `json:"address"`
}

func (n announcement) check() error {
	switch {
	case (n.Proxy == nil) == (n.Sysctl == nil):
		return errors.New("expected either a neighbour proxy or a kernel setting")
	case n.Sysctl != nil:
		return n.Sysctl.Key.check()
	case !n.Proxy.Address.IsValid():
		return errors.New("the address is missing")
	}
	return nil
}

func (n announcement) String() string {
	if n.Sysctl != nil {
		return n.Sysctl.String()
	}
	return fmt.Sprintf("%v announced on %s", n.Proxy.Address, n.Proxy.Link)
}

func (n announcement) undo(t *proxyTable) error {
	if n.Sysctl != nil {
		return n.Sysctl.undo()
	}
	link, err := netlink.LinkByName(n.Proxy.Link)
	if isGone(err) {
		return nil // and the entry with it
	}
	if err != nil {
		return failed(err, "find the link %s", n.Proxy.Link)
	}
	return t.remove(link.Attrs().Index, n.Proxy.Address)
}

// OpenAnnouncer begins to announce on a link. What a process that crashed has
// left on another link is taken back now; restored describes it. What it has
// left on this link is this Announcer's, as Announced tells, until Remove,
// Reconcile or Close. The error is a *ConfigError, a *BusyError, a
// *JournalError, or *Error values joined.
func OpenAnnouncer(c AnnounceConfig) (a *Announcer, restored []string, err error) {
	index, err := announceableLink(c.Link)
	if err != nil {
		return nil, nil, err
	}
	a = &Announcer{link: c.Link, logger: c.Logger, index: index}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.abandon())
			a = nil
		}
	}()
	if a.table, err = openProxyTable(); err != nil {
		return a, nil, err
	}
	// From here on no change of the link goes unseen.
	if a.events, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK); err != nil {
		return a, nil, failed(err, "watch the links")
	}
	if a.ledger, err = openLedger[announcement](c.Journal); err != nil {
		return a, nil, err
	}
	if restored, err = a.restore(c); err != nil {
		return a, restored, err
	}
	return a, restored, a.switchOn(c)
}

// Withdraw takes back what a process that crashed has left in the journal at
// path, and removes the journal. Without one there is nothing to do.
func Withdraw(path string) (restored []string, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	a := &Announcer{}
	if a.table, err = openProxyTable(); err != nil {
		return nil, err
	}
	if a.ledger, err = openLedger[announcement](path); err != nil {
		return nil, errors.Join(err, a.abandon())
	}
	restored, err = a.restore(AnnounceConfig{})
	return restored, errors.Join(err, a.abandon())
}

// announceableLink gives the index of a link whose neighbours use ARP and NDP.
func announceableLink(name string) (int, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return 0, failed(err, "list the links")
	}
	var fit []string
	for _, l := range links {
		a := l.Attrs()
		if !asksNeighbours(a) {
			continue
		}
		if a.Name == name {
			return a.Index, nil
		}
		fit = append(fit, a.Name)
	}
	return 0, &ConfigError{Detail: fmt.Sprintf("clients cannot be announced on %q: expected an interface of this machine with ARP, such as: %s",
		name, cmp.Or(strings.Join(fit, ", "), "none is there"))}
}

func asksNeighbours(a *netlink.LinkAttrs) bool {
	return a.RawFlags&(unix.IFF_NOARP|unix.IFF_LOOPBACK|unix.IFF_POINTOPOINT) == 0 && a.Flags&net.FlagBroadcast != 0
}

// restore takes back what does not fit the configuration, and forgets what an
// earlier boot has taken with it.
func (a *Announcer) restore(c AnnounceConfig) (restored []string, err error) {
	var errs []error
	for _, key := range a.keys() {
		n := a.ledger.live[key]
		switch {
		case (record{Boot: n.Boot}).outlived():
		case n.Proxy != nil && n.Proxy.Link == c.Link,
			n.Sysctl != nil && slices.ContainsFunc(c.settings(), func(s setting) bool { return s.key == n.Sysctl.Key }):
			continue
		default:
			if err := n.undo(a.table); err != nil {
				errs = append(errs, err)
				continue
			}
			restored = append(restored, n.String())
		}
		errs = append(errs, a.ledger.drop(key))
	}
	return restored, errors.Join(errs...)
}

// keys gives the ledger's in an order that is always the same.
func (a *Announcer) keys() []string {
	keys := make([]string, 0, len(a.ledger.live))
	for key := range a.ledger.live {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func proxyNDP(link string) sysctl { return IPv6.conf(link, "proxy_ndp") }

const proxyNDPOn = "1"

func proxyDelay(f Family, link string) sysctl {
	return sysctl(fmt.Sprintf("net/ipv%d/neigh/%s/proxy_delay", uint8(f), link))
}

// setting is what a sysctl should be.
type setting struct {
	key   sysctl
	value string
	must  bool
}

// settings are those of the link that the configuration asks for.
func (c *AnnounceConfig) settings() []setting {
	var list []setting
	if !c.SetSysctls {
		return nil
	}
	for _, f := range familiesOf(c.Pools, nil) {
		if f == IPv6 {
			list = append(list, setting{proxyNDP(c.Link), proxyNDPOn, true})
		}
		list = append(list, setting{proxyDelay(f, c.Link), "0", false})
	}
	return list
}

// switchOn changes the settings that are otherwise.
func (a *Announcer) switchOn(c AnnounceConfig) error {
	for _, s := range c.settings() {
		if err := a.set(s); err != nil && s.must {
			return err
		} else if err != nil && a.logger != nil {
			a.logger.Info("neighbours may be answered late", slog.Any("error", err))
		}
	}
	return nil
}

func (a *Announcer) set(s setting) error {
	plan, err := planSysctl(nil, s.key, s.value)
	if err != nil || len(plan) == 0 {
		return err
	}
	change := plan[0].Sysctl
	if err := a.ledger.put(string(change.Key), announcement{Boot: bootID(), Sysctl: change}, inKernel); err != nil {
		return err
	}
	return change.apply()
}

// Add answers for addresses from when it returns; zero ones are passed over.
// What is announced already stays so. If it fails, none of those that were new
// is announced.
func (a *Announcer) Add(ctx context.Context, addrs []netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var added []netip.Addr
	for _, addr := range addrs {
		fresh, err := a.add(ctx, addr)
		if err != nil {
			for _, undo := range added {
				err = errors.Join(err, a.remove(undo))
			}
			return err
		}
		if fresh {
			added = append(added, addr)
		}
	}
	return nil
}

// add tells whether the address was not announced before. The caller holds mu.
func (a *Announcer) add(ctx context.Context, addr netip.Addr) (fresh bool, err error) {
	if !addr.IsValid() {
		return false, nil
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	key := addr.String()
	if _, ours := a.ledger.live[key]; ours {
		return false, a.table.add(a.index, addr) // lest somebody has removed it
	}
	if theirs, err := a.table.has(a.index, addr); theirs || err != nil {
		return false, err
	}
	n := announcement{Boot: bootID(), Proxy: &proxyEntry{Link: a.link, Address: addr}}
	if err := a.ledger.put(key, n, inKernel); err != nil {
		return false, err
	}
	if err := a.table.add(a.index, addr); err != nil {
		return false, errors.Join(err, a.ledger.drop(key))
	}
	return true, nil
}

// Remove ends answering for addresses; for those that are not announced it does
// nothing. Where one cannot be removed the others still are.
func (a *Announcer) Remove(_ context.Context, addrs []netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, addr := range addrs {
		errs = append(errs, a.remove(addr))
	}
	return errors.Join(errs...)
}

// remove is Remove for one address. The caller holds mu.
func (a *Announcer) remove(addr netip.Addr) error {
	key := addr.String()
	if _, ours := a.ledger.live[key]; !ours {
		return nil
	}
	if err := a.table.remove(a.index, addr); err != nil {
		return err
	}
	return a.ledger.drop(key)
}

// Reconcile announces those addresses and no others.
func (a *Announcer) Reconcile(ctx context.Context, want []netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := make(map[netip.Addr]bool, len(want))
	for _, addr := range want {
		wanted[addr] = true
	}
	var errs []error
	for _, addr := range a.announced() {
		if !wanted[addr] {
			errs = append(errs, a.remove(addr))
		}
	}
	for _, addr := range want {
		_, err := a.add(ctx, addr)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Announced lists the addresses in order.
func (a *Announcer) Announced() []netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.announced()
}

// announced is Announced for who holds mu.
func (a *Announcer) announced() []netip.Addr {
	var addrs []netip.Addr
	for _, n := range a.ledger.live {
		if n.Proxy != nil {
			addrs = append(addrs, n.Proxy.Address)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// Close takes everything back. Where something cannot be, the journal stays for
// the next attempt. Run must have ended.
func (a *Announcer) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.restore(AnnounceConfig{})
	return errors.Join(err, a.abandon())
}

// abandon closes what is open and takes nothing back.
func (a *Announcer) abandon() error {
	if a.events != nil {
		a.events.Close()
	}
	if a.table != nil {
		a.table.close()
	}
	if a.ledger != nil {
		return a.ledger.close()
	}
	return nil
}
