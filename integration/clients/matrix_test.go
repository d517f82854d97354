package clients

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// column is what a client is put through.
type column int

// The columns of the table, in the order in which they happen.
const (
	login column = iota
	bothFamilies
	childRekey
	ikeRekey
	move
	idleDay
	logout
	columns
)

var columnNames = [columns]string{"login", "both families", "Child rekey", "IKE rekey", "move", "idle a day", "delete"}

// row is one client's stay. A cell is "ok", "ok" with how, or why it cannot be.
type row struct {
	client string
	mu     sync.Mutex
	cells  [columns]string
}

// cell fills one. The first fault ends the client's stay: what follows is
// "not reached".
func (r *row) cell(t *testing.T, c column, how string, err error) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells[c] = how; err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		r.cells[c] = "FAILED: " + first
		t.Errorf("%s: %s: %v", r.client, columnNames[c], err)
	}
}

// stays is what runs a client in a scene and fills its row, but for the idle
// day.
type stay struct {
	client string
	user   string // as the gateway's file has it
	run    func(t *testing.T, s *scene, st stay, r *row)
}

// print writes the table in Markdown.
func print(plane string, rows []*row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s plane | %s |\n|%s\n", plane, strings.Join(columnNames[:], " | "), strings.Repeat("---|", int(columns)+1))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", r.client, strings.Join(r.cells[:], " | "))
	}
	return b.String()
}

// TestMatrix puts every client through its stay with the data plane that
// $PLANE names, the userspace one by default, and prints the table.
func TestMatrix(t *testing.T) {
	t.Parallel()
	plane := os.Getenv("PLANE")
	if plane == "" {
		plane = "userspace"
	}
	all := stays()
	rows := make([]*row, len(all))
	var users []string
	for i, st := range all {
		rows[i] = &row{client: st.client}
		for c := range rows[i].cells {
			rows[i].cells[c] = "not reached"
		}
		users = append(users, st.user)
	}
	s := newScene(t, plane, users)
	days := make(chan map[string]string, 1)
	go func() { days <- idleDays() }()
	t.Run("clients", func(t *testing.T) {
		for i, st := range all {
			t.Run(st.client, func(t *testing.T) {
				t.Parallel()
				st.run(t, s, st, rows[i])
			})
		}
	})
	outcome := <-days
	for _, r := range rows {
		if r.cells[idleDay] == "not reached" {
			r.cells[idleDay] = outcome[r.client]
		}
		if slices.Contains(r.cells[:], "not reached") || slices.Contains(r.cells[:], "") {
			t.Errorf("%s: there are empty cells: %q", r.client, r.cells)
		}
	}
	s.leftovers(t)
	fmt.Printf("\n%s\n", print(plane, rows))
}
