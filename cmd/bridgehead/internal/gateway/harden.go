package gateway

import (
	"fmt"
	"os/signal"

	"golang.org/x/sys/unix"
)

// forbidCoreDumps keeps keys and hashes out of core files and away from other
// processes of the same user (prctl(2), PR_SET_DUMPABLE).
func forbidCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core dumps cannot be switched off: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("core dumps cannot be switched off: %w", err)
	}
	return nil
}

// outliveReaders lets the gateway go on when nobody reads its output any more:
// ended by SIGPIPE it would leave the host's network as it is.
func outliveReaders() { signal.Ignore(unix.SIGPIPE) }
