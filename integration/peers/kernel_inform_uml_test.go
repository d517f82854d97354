//go:build uml

package peers

import "testing"

// TestKernelWindowsGetsSplitRoutes: kernel ESP hands the broadcasts of clients
// to the host, where a DHCP server of its own holds the port.
func TestKernelWindowsGetsSplitRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	holdPort67(t, s.gateway)
	s.windowsGetsSplitRoutes(t, kernelPlane)
}
