package hostnet

import (
	"context"
	"errors"
	"log/slog"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Run puts entries back that were lost with the link until ctx ends: the kernel
// drops them all when the link goes down or is made anew, and before Linux 6.16
// also when the cable is pulled. It gives ctx's error, or why it cannot watch
// the links.
func (a *Announcer) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, a.events.Close) // wakes Receive
	defer stop()
	for {
		messages, _, err := a.events.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, syscall.ENOBUFS): // events were missed
			a.refresh(ctx)
		case err != nil:
			return failed(err, "watch the links")
		}
		for _, m := range messages {
			if a.concerned(m) {
				a.refresh(ctx)
			}
		}
	}
}

// wentUp are the flags of a link whose change can have cost the entries.
const wentUp = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP

// concerned tells whether the link is up after it was not quite.
func (a *Announcer) concerned(m syscall.NetlinkMessage) bool {
	if m.Header.Type != unix.RTM_NEWLINK {
		return false
	}
	header := unix.NlMsghdr(m.Header)
	link, err := netlink.LinkDeserialize(&header, m.Data)
	if err != nil || link.Attrs().Name != a.link {
		return false
	}
	at := link.Attrs()
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := a.index != at.Index || a.seen != at.RawFlags&wentUp
	a.index, a.seen = at.Index, at.RawFlags&wentUp
	return changed && at.RawFlags&unix.IFF_UP != 0
}

// refresh makes all entries that are missing. A link that is gone meanwhile is
// no fault: another event tells of its return.
func (a *Announcer) refresh(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range a.announced() {
		if _, err := a.add(ctx, addr); err != nil && !isGone(err) {
			a.logger.Warn("a client is not announced any more", slog.Any("address", addr), slog.Any("error", err))
		}
	}
}
