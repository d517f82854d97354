package admin

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// credentials are who is at the other end of a connection, as the kernel says.
type credentials struct {
	uid    uint32
	groups []uint32
}

type credentialsKey struct{}

// withCredentials is an http.Server's ConnContext: it asks the kernel once a
// connection. Without an answer nothing is stored, and the request is denied.
func withCredentials(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var who *credentials
	if err := raw.Control(func(fd uintptr) { who = peerOf(int(fd)) }); err != nil || who == nil {
		return ctx
	}
	return context.WithValue(ctx, credentialsKey{}, who)
}

// peerOf reads SO_PEERCRED and, where the kernel has it, SO_PEERGROUPS
// (unix(7)); a caller in more groups than fit counts with its first group.
func peerOf(fd int) *credentials {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil
	}
	who := &credentials{uid: cred.Uid, groups: []uint32{cred.Gid}}
	if list, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS); err == nil {
		for b := []byte(list); len(b) >= 4; b = b[4:] {
			who.groups = append(who.groups, binary.NativeEndian.Uint32(b))
		}
	}
	return who
}

// authorize serves root, the gateway's own user and the socket's group.
func authorize(socket string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := r.Context().Value(credentialsKey{}).(*credentials)
		if !ok || !who.allowed(socket) {
			fail(w, http.StatusForbidden, "denied")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *credentials) allowed(socket string) bool {
	if c.uid == 0 || c.uid == uint32(os.Geteuid()) {
		return true
	}
	info, err := os.Stat(socket)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && slices.Contains(c.groups, stat.Gid)
}
