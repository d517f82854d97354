package secrets

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bridgehead/auth"
)

// Format is the language of a file.
type Format uint8

// Formats. Auto takes a file whose name ends in "secrets" for strongSwan's.
const (
	Auto Format = iota
	UsersFile
	IPsecSecrets
)

// lookEvery is the least time between two looks at ipsec.secrets and all it
// includes. The users file is one file: a look costs a login nothing.
const lookEvery = time.Second

// Options of Open; the zero value is ready for use.
type Options struct {
	Format Format
	Now    func() time.Time // nil: time.Now
	OnLoad func(Report)     // called after each reading, also a failed one
}

// Report is the outcome of one reading.
type Report struct {
	Path     string
	Users    int       // in force after it
	Problems []Problem // of this reading
	Err      error     // the file could not be read, or is torn: the users of before stay in force
}

// File is a file of users in memory. It looks for changes when it is asked,
// with ipsec.secrets at most once a second, and never mixes old and new. It is
// safe for concurrent use.
type File struct {
	path    string
	options Options
	table   atomic.Pointer[table]
	looked  atomic.Int64 // UnixNano of the last look
	loading sync.Mutex   // also guards failed
	failed  string       // the fault that was last told of, until a reading succeeds
}

var _ auth.HashStore = (*File)(nil)

// Open reads the file. Bad lines are no error but Problems.
func Open(path string, o Options) (*File, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Format == Auto {
		o.Format = formatOf(path)
	}
	f := &File{path: path, options: o}
	f.looked.Store(o.Now().UnixNano())
	if report := f.Reload(); report.Err != nil {
		return nil, report.Err
	}
	return f, nil
}

func formatOf(path string) Format {
	if strings.HasSuffix(filepath.Base(path), "secrets") {
		return IPsecSecrets
	}
	return UsersFile
}

// Reload reads the files again. If the main one can't be read, the users of
// before stay in force.
func (f *File) Reload() Report {
	f.loading.Lock()
	defer f.loading.Unlock()
	return f.load()
}

// load does the reading; the caller holds loading. A fault that lasts is told
// once.
func (f *File) load() Report {
	t := newTable()
	report := Report{Path: f.path, Err: f.parse(t)}
	report.Problems = t.problems
	told := false
	if report.Err == nil {
		t.places = nil
		f.table.Store(t)
		f.failed = ""
	} else {
		told = f.failed == report.Err.Error()
		f.failed = report.Err.Error()
	}
	if now := f.table.Load(); now != nil {
		report.Users = len(now.accounts)
	}
	if f.options.OnLoad != nil && !told {
		f.options.OnLoad(report)
	}
	return report
}

func (f *File) parse(t *table) error {
	text, err := t.read(f.path)
	if err != nil {
		return err
	}
	defer clear(text)
	if f.table.Load() != nil {
		if err := f.torn(text, t.sources[0].stamp); err != nil {
			return err
		}
	}
	if f.options.Format == IPsecSecrets {
		newIPsecReader(f.path, t).parse(f.path, text, 1)
	} else {
		parseUsers(f.path, text, t)
	}
	return nil
}

// Lookup implements auth.HashStore. The Grant's addresses are shared: read
// them only.
func (f *File) Lookup(ctx context.Context, name string) (auth.Account, bool, error) {
	if err := ctx.Err(); err != nil {
		return auth.Account{}, false, err
	}
	f.refresh()
	a, ok := f.table.Load().accounts[name]
	if !ok {
		return auth.Account{}, false, nil
	}
	return *a, true, nil
}

// refresh reads changed files again. Only one caller does; the others go on
// with what is in force.
func (f *File) refresh() {
	if f.options.Format == IPsecSecrets {
		now, looked := f.options.Now().UnixNano(), f.looked.Load()
		if now-looked < int64(lookEvery) || !f.looked.CompareAndSwap(looked, now) {
			return
		}
	}
	if !f.loading.TryLock() {
		return
	}
	defer f.loading.Unlock()
	if slices.ContainsFunc(f.table.Load().sources, source.changed) {
		f.load()
	}
}

// Problems are those of the reading in force.
func (f *File) Problems() []Problem { return slices.Clone(f.table.Load().problems) }

// Keys are the private keys that ipsec.secrets names.
func (f *File) Keys() []Key { return slices.Clone(f.table.Load().keys) }

// Fixed are the fixed addresses of all users, which no pool should hand to
// others.
func (f *File) Fixed() []netip.Addr { return f.table.Load().fixed() }

// Len is the number of users in force.
func (f *File) Len() int { return len(f.table.Load().accounts) }
