package convert

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"bridgehead/auth/secrets"
)

// exporter writes a file and notes what became of each user.
type exporter struct {
	w     io.Writer
	lines []Line
	err   error // the first one
}

func (e *exporter) print(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}

func (e *exporter) done(u secrets.User, notes []string) {
	e.lines = append(e.lines, Line{User: u.Name, Outcome: TakenOver, Note: strings.Join(notes, "; ")})
}

func (e *exporter) leave(u secrets.User, why string) {
	e.lines = append(e.lines, Line{User: u.Name, Outcome: NotTakenOver, Note: why})
}

// settingNotes tells which settings of a user the format can't hold.
func settingNotes(u secrets.User, held []string) []string {
	var left []string
	for _, s := range u.Settings() {
		if !slices.Contains(held, s.Key) {
			left = append(left, s.Key+"="+s.Value)
		}
	}
	if left == nil {
		return nil
	}
	return []string{"left out: " + strings.Join(left, " ")}
}

// hexHash is the NT hash in capitals, as Samba writes it.
func hexHash(u secrets.User) string { return strings.ToUpper(hex.EncodeToString(u.Hash[:])) }
