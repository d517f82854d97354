package hostnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// announceJournal names the journal of a process that is to be killed while it
// announces.
const announceJournal = "HOSTNET_TEST_ANNOUNCE_JOURNAL"

func announceUntilKilled(path string) {
	a, _, err := OpenAnnouncer(announceOn("eth0", path))
	if err == nil {
		err = a.Add(context.Background(), addrs("10.9.0.7", "fd09::7", "10.9.0.8", "10.9.0.77"))
	}
	if err == nil {
		err = a.Remove(context.Background(), addrs("10.9.0.8"))
	}
	fmt.Println("announced", err)
	waitToBeKilled()
}

// A killed process leaves its entries in the kernel. Whatever the next start is
// configured for, only others' are there afterwards.
func TestKilledAnnouncer(t *testing.T) {
	for _, c := range []struct {
		name string
		next func(path string) (left, restored []string, err error)
	}{
		{"announces on the same link", func(path string) ([]string, []string, error) {
			return reopened(announceOn("eth0", path))
		}},
		{"announces on another link", func(path string) ([]string, []string, error) {
			return reopened(announceOn("eth1", path))
		}},
		{"does not announce", func(path string) ([]string, []string, error) {
			restored, err := Withdraw(path)
			return nil, restored, err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			segment(t)
			run(t, "ip link add eth1 type veth peer name other1")
			run(t, "ip neigh add proxy 10.9.0.77 dev eth0")
			foreign := proxies(t)
			path := filepath.Join(t.TempDir(), "a")
			victim := startVictim(t, announceJournal, path)
			victim.says("announced <nil>")
			if _, _, err := OpenAnnouncer(announceOn("eth0", path)); !errors.As(err, new(*BusyError)) {
				t.Errorf("beside a running process: %v", err)
			}
			victim.kill()
			if got := proxies(t); strings.Count(got, "dev eth0") != 3 {
				t.Fatalf("the killed process left\n%s", got)
			}

			left, restored, err := c.next(path)
			must(t, err)
			want := []string{"10.9.0.7 announced on eth0", "fd09::7 announced on eth0",
				"net.ipv4.neigh.eth0.proxy_delay = 0 (was 80)", "net.ipv6.conf.eth0.proxy_ndp = 1 (was 0)", "net.ipv6.neigh.eth0.proxy_delay = 0 (was 80)"}
			if got := slices.Concat(left, restored); !slices.Equal(got, want) && !slices.Equal(got, want[:2]) {
				t.Errorf("found %q, want %q", got, want)
			}
			if got := proxies(t); got != foreign {
				t.Errorf("entries are\n%swant\n%s", got, foreign)
			}
			if value, err := proxyNDP("eth0").read(); err != nil || value != "0" {
				t.Errorf("proxy_ndp is %s, %v", value, err)
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the journal: %v", err)
			}
		})
	}
}

// reopened is a start after a crash, with no session left, and its end.
func reopened(c AnnounceConfig) (left, restored []string, err error) {
	a, restored, err := OpenAnnouncer(c)
	if err != nil {
		return nil, nil, err
	}
	for _, addr := range a.Announced() {
		left = append(left, fmt.Sprintf("%v announced on eth0", addr))
	}
	return left, restored, errors.Join(a.Reconcile(context.Background(), nil), a.Close())
}

func TestNothingToWithdraw(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if restored, err := Withdraw(path); err != nil || restored != nil {
		t.Errorf("got %q, %v", restored, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a journal appeared: %v", err)
	}
}

// What looks like an entry of an earlier boot was made by somebody else since.
func TestAnnouncementsOfAnEarlierBootAreLeftAlone(t *testing.T) {
	segment(t)
	run(t, "ip neigh add proxy 10.9.0.7 dev eth0")
	foreign := proxies(t)
	path := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(path, []byte(`{"key":"10.9.0.7","thing":{"boot":"an earlier one","proxy":{"link":"eth0","address":"10.9.0.7"}}}`+"\n"), 0o600))
	a := openAnnouncer(t, announceOn("eth0", path))
	if got := a.Announced(); len(got) > 0 {
		t.Errorf("announced %v", got)
	}
	must(t, a.Close())
	if got := proxies(t); got != foreign {
		t.Errorf("entries are\n%swant\n%s", got, foreign)
	}
}

func TestAnnouncementsThatCannotBeTrusted(t *testing.T) {
	segment(t)
	for _, line := range []string{
		`{"key":"x","thing":{}}`,
		`{"thing":{"proxy":{"link":"eth0","address":"10.9.0.7"}}}`,
		`{"key":"x","thing":{"proxy":{"link":"eth0","address":""}}}`,
		`{"key":"x","thing":{"sysctl":{"key":"../x","old":"0","new":"1"}}}`,
		`{"key":"x","thing":{"sysctl":{"key":"x"},"proxy":{"link":"eth0","address":"10.9.0.7"}}}`,
		`{"forwarding":{"family":4}}`,
	} {
		path := filepath.Join(t.TempDir(), "a")
		must(t, os.WriteFile(path, []byte(line+"\n"), 0o600))
		_, _, err := OpenAnnouncer(announceOn("eth0", path))
		var e *JournalError
		if !errors.As(err, &e) || e.Line != 1 {
			t.Errorf("%s: %v", line, err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != line+"\n" {
			t.Errorf("the journal became %q, %v", text, err)
		}
	}
}

// thing is what the tests of the ledger write down.
type thing string

func (thing) check() error { return nil }

// A ledger that is opened again holds what was put and not dropped, whatever
// else happened, and its file does not grow with what is gone.
func TestLedgerAgainstAMap(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(dir, "l")
		l, err := openLedger[thing](path)
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		check(err)
		model := map[string]thing{}
		for range rapid.IntRange(0, 600).Draw(t, "steps") {
			key := fmt.Sprint("k", rapid.IntRange(0, 12).Draw(t, "key"))
			switch step := rapid.IntRange(0, 99).Draw(t, "step"); {
			case step == 0:
				check(l.journal.keep()) // the process dies
				l, err = openLedger[thing](path)
				check(err)
			case step < 50:
				v := thing(rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "thing"))
				check(l.put(key, v, inKernel))
				model[key] = v
			default:
				check(l.drop(key))
				delete(model, key)
			}
		}
		if len(l.live) != len(model) {
			t.Fatalf("holds %v, want %v", l.live, model)
		}
		for key, v := range model {
			if l.live[key] != v {
				t.Fatalf("holds %v, want %v", l.live, model)
			}
			check(l.drop(key))
		}
		if l.lines > minCompact {
			t.Fatalf("%d lines for nothing", l.lines)
		}
		check(l.close())
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("the file: %v", err)
		}
	})
}

func FuzzAnnouncements(f *testing.F) {
	f.Add(`{"key":"10.9.0.7","thing":{"boot":"b","proxy":{"link":"eth0","address":"10.9.0.7"}}}` + "\n" + `{"key":"10.9.0.7"}` + "\n")
	f.Add(`{"key":"s","thing":{"boot":"","sysctl":{"key":"net/ipv6/conf/eth0/proxy_ndp","old":"0","new":"1"}}}` + "\n" + `{"ke`)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "a")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		l, err := openLedger[announcement](path)
		if err != nil {
			return
		}
		was := len(l.live)
		for key, n := range l.live {
			if key == "" || n.String() == "" {
				t.Errorf("%q: %+v", key, n)
			}
		}
		must(t, l.journal.keep())
		if l, err = openLedger[announcement](path); err != nil || len(l.live) != was {
			t.Fatalf("once more: %v, %d left of %d", err, len(l.live), was)
		}
		must(t, l.journal.keep())
	})
}
