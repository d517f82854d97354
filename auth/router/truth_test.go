package router

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"bridgehead/auth"
)

// truth is TRUTH.md: what comes of two members, by skip, first and second.
type truth map[[3]string]string

var states = []string{accepts, refuses, unknown, unavailable, timesOut}

// readTruth reads the tables of TRUTH.md.
func readTruth(t *testing.T) truth {
	t.Helper()
	text, err := os.ReadFile("TRUTH.md")
	if err != nil {
		t.Fatal(err)
	}
	table, skip := truth{}, ""
	for line := range strings.Lines(string(text)) {
		if s, ok := strings.CutPrefix(line, "## "); ok {
			skip = strings.Trim(s, "\n`")
		}
		cells := strings.Split(line, "|")
		if len(cells) != len(states)+3 {
			continue
		}
		first := strings.TrimSpace(cells[1])
		if !slices.Contains(states, first) {
			continue
		}
		for i, second := range states {
			table[[3]string{skip, first, second}] = strings.TrimSpace(cells[2+i])
		}
	}
	return table
}

// came is what came of a login, by the words of TRUTH.md.
func came(t *testing.T, step auth.Step) string {
	t.Helper()
	switch {
	case step.Verdict == auth.Accept:
		return "accepted"
	case step.Verdict == auth.Reject && step.Reason.Cause == auth.CauseWrongPassword:
		return "refused"
	case step.Verdict == auth.Reject && step.Reason.Cause == auth.CauseUnknownUser:
		return "unknown"
	case step.Verdict == auth.Unavailable && step.Reason.Cause == auth.CauseBackendUnavailable:
		return "unavailable"
	case step.Verdict == auth.Unavailable && step.Reason.Cause == auth.CauseBackendTimeout:
		return "timed out"
	}
	t.Fatalf("verdict %d with %+v", step.Verdict, step.Reason)
	return ""
}

// saying is the state of a member that stands for what came of two.
func saying(outcome string) string {
	return map[string]string{"accepted": accepts, "refused": refuses, "unknown": unknown, "unavailable": unavailable, "timed out": timesOut}[outcome]
}

// TestTruthTable: every chain of two and of three members, whose last one is of
// each kind, does what TRUTH.md says; three are two, the second of which is
// two. Nobody is asked for a second opinion on a user whom a member knows, and
// every store is asked as often, whoever knows the user.
func TestTruthTable(t *testing.T) {
	table := readTruth(t)
	if len(table) != 3*len(states)*len(states) {
		t.Fatalf("TRUTH.md has %d cells", len(table))
	}
	chains := 0
	for _, outage := range []string{"refuse", "next"} {
		for _, kind := range []string{"store", "verifier", "backend"} {
			mode := outage
			if outage == "next" && kind != "store" {
				mode = "next, RADIUS last"
			}
			for _, a := range states {
				for _, b := range states {
					check(t, outage, kind, table[[3]string{mode, a, b}], a, b)
					chains++
					for _, c := range states {
						both := saying(table[[3]string{mode, b, c}])
						check(t, outage, kind, table[[3]string{mode, a, both}], a, b, c)
						chains++
					}
				}
			}
		}
	}
	t.Logf("%d chains", chains)
}

func check(t *testing.T, outage, kind, want string, said ...string) {
	t.Helper()
	var (
		stores []*store
		chain  = Chain{SkipOutages: outage == "next"}
	)
	for i, state := range said {
		s := &store{state: state, name: fmt.Sprint("m", i)}
		stores = append(stores, s)
		k := "store"
		if i == len(said)-1 {
			k = kind
		}
		chain.Members = append(chain.Members, member(k, s))
	}
	name := fmt.Sprintf("outage %s, last %s, %s", outage, kind, strings.Join(said, ", "))
	step, _ := alice().play(t, newRouter(t, Config{Default: chain}))
	if got := came(t, step); got != want {
		t.Errorf("%s: %s, expected %s", name, got, want)
	}
	for i, state := range said {
		if step.Verdict == auth.Accept && state == accepts {
			if step.Grant.Group != stores[i].name || evidence(step.Grant.Remarks, "backend") != stores[i].name {
				t.Errorf("%s: decided by %s, %+v", name, step.Grant.Group, step.Grant.Remarks)
			}
			break
		}
	}
	asked := stores[0].asked
	for _, s := range stores[:len(stores)-1] {
		if s.asked != asked || s.asked == 0 {
			t.Errorf("%s: %s was asked %d times, the first %d times", name, s.name, s.asked, asked)
		}
	}
	decided := want == "accepted" || want == "refused"
	if last := stores[len(stores)-1]; kind != "store" && decided && (said[0] == accepts || said[0] == refuses) && last.asked > 0 {
		t.Errorf("%s: the last one was asked about a user whom the first knows", name)
	}
}

// TestBreakGlass: the accounts work exactly where the chain is unavailable for
// the sake of a central member; to the client a wrong password for one is the
// same as an outage.
func TestBreakGlass(t *testing.T) {
	for _, outage := range []string{"refuse", "next"} {
		for _, kind := range []string{"store", "verifier", "backend"} {
			for _, a := range states {
				for _, b := range states {
					for _, glass := range []string{accepts, refuses, unknown, unavailable} {
						breakGlass(t, outage, kind, a, b, glass)
					}
				}
			}
		}
	}
}

func breakGlass(t *testing.T, outage, kind, a, b, glass string) {
	t.Helper()
	name := fmt.Sprintf("outage %s, %s, %s, last %s, break glass %s", outage, a, b, kind, glass)
	kept := &store{state: glass, name: "kept"}
	heard := 0
	chain := Chain{SkipOutages: outage == "next", BreakGlass: kept, Members: []Member{
		member("store", &store{state: a, name: "first"}), member(kind, &store{state: b, name: "last"}),
	}}
	step, packets := alice().play(t, newRouter(t, Config{Default: chain, BreakGlass: func(user, _ string) { heard++ }}))
	without := chain
	without.BreakGlass = nil
	plain, plainPackets := alice().play(t, newRouter(t, Config{Default: without}))
	switch {
	case plain.Verdict != auth.Unavailable:
		if step.Verdict != plain.Verdict || kept.asked > 0 || step.Grant != nil && step.Grant.BreakGlass {
			t.Errorf("%s: %d instead of %d, asked %d times", name, step.Verdict, plain.Verdict, kept.asked)
		}
	case glass == accepts:
		if step.Verdict != auth.Accept || !step.Grant.BreakGlass || heard != 1 || evidence(step.Grant.Remarks, "break glass") == "" {
			t.Errorf("%s: verdict %d, %+v, heard of %d", name, step.Verdict, step.Grant, heard)
		}
	default:
		if step.Verdict != auth.Unavailable || heard != 0 {
			t.Errorf("%s: verdict %d", name, step.Verdict)
		}
		if kind != "backend" && len(packets) != len(plainPackets) {
			t.Errorf("%s: the client sees %d packets, without break glass %d", name, len(packets), len(plainPackets))
		}
	}
	chain.Members[0].Central, chain.Members[1].Central = false, false
	if step, _ := alice().play(t, newRouter(t, Config{Default: chain})); step.Verdict != plain.Verdict {
		t.Errorf("%s: where no member is central: %d instead of %d", name, step.Verdict, plain.Verdict)
	}
}
