package convert

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bridgehead/auth/secrets"
)

// columns of a CSV file beside the words of a users file.
const (
	nameColumn     = "name"
	passwordColumn = "password"
	hashColumn     = "nt_hash"
	disabledColumn = "disabled"
)

// table is the heading of a CSV file.
type table struct {
	comma   rune
	columns []string
}

// parseCSV reads a heading and a line for each user. Each line is read alone,
// so that a quote which is never closed loses no other.
func parseCSV(r *reader, text []byte) {
	var t *table
	failed := false
	eachLine(text, func(number int, line []byte) {
		switch {
		case failed || len(bytes.TrimSpace(line)) == 0:
		case t == nil:
			t = heading(r, number, line)
			failed = t == nil
		default:
			t.record(r, number, line)
		}
	})
	if t == nil && !failed {
		r.add(place{}, "", NotTakenOver, "the file is empty; expected a heading such as name,password,group")
	}
}

// heading reads the names of the columns; nil where they can't serve.
func heading(r *reader, number int, line []byte) *table {
	t := &table{comma: ','}
	for _, c := range []rune{';', '\t'} {
		if bytes.ContainsRune(line, c) {
			t.comma = c
		}
	}
	cells, _, err := t.cells(line)
	if err != nil {
		r.add(place{number, 1}, "", NotTakenOver, "the heading can't be read: "+err.Error())
		return nil
	}
	known := append(secrets.Keys(), nameColumn, passwordColumn, hashColumn)
	for _, cell := range cells {
		name := strings.ToLower(strings.TrimSpace(cell))
		switch {
		case !slices.Contains(known, name):
			// What stands there may be a password, in a file without a heading.
			r.add(place{number, 1}, "", Remark, fmt.Sprintf("column %d has no name of ours and is left out", len(t.columns)+1))
			name = ""
		case slices.Contains(t.columns, name):
			r.add(place{number, 1}, "", NotTakenOver, fmt.Sprintf("two columns are named %s", name))
			return nil
		}
		t.columns = append(t.columns, name)
	}
	if !slices.Contains(t.columns, nameColumn) || !slices.Contains(t.columns, passwordColumn) && !slices.Contains(t.columns, hashColumn) {
		r.add(place{number, 1}, "", NotTakenOver, "expected a heading with the columns name and password or nt_hash; nothing is taken over")
		return nil
	}
	return t
}

// cells splits a line. The error holds nothing of it.
func (t *table) cells(line []byte) ([]string, func(int) int, error) {
	c := csv.NewReader(bytes.NewReader(line))
	c.Comma = t.comma
	c.FieldsPerRecord = len(t.columns) // 0 for the heading: any
	record, err := c.Read()
	column := func(i int) int {
		_, octet := c.FieldPos(i)
		return len([]rune(string(line[:octet-1]))) + 1
	}
	var parse *csv.ParseError
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		return nil, nil, fmt.Errorf("%d cells, expected %d; a cell with a separator stands in quotes", len(record), len(t.columns))
	case errors.As(err, &parse):
		return nil, nil, errors.New("a quote is wrong or never closed; a cell with a quote has it twice")
	}
	return record, column, err
}

// record takes the user of a line.
func (t *table) record(r *reader, number int, line []byte) {
	cells, column, err := t.cells(line)
	if err != nil {
		r.add(place{number, 1}, "", NotTakenOver, err.Error())
		return
	}
	u := secrets.User{Name: cells[slices.Index(t.columns, nameColumn)]}
	var notes []string
	proven := false
	for i, name := range t.columns {
		cell := cells[i]
		at := place{number, column(i)}
		switch {
		case cell == "" || name == "" || name == nameColumn:
		case name == passwordColumn && !proven:
			notes, proven = append(notes, password(&u, []byte(cell))...), true
		case name == hashColumn && !proven:
			if u.Hash, proven = ntHash(cell); !proven {
				r.add(at, u.Name, NotTakenOver, "expected an NT hash of 32 hexadecimal digits")
				return
			}
		case name == passwordColumn || name == hashColumn:
			r.add(at, u.Name, NotTakenOver, "has a password and a hash; which one counts?")
			return
		case name == disabledColumn:
			disabled, ok := yesNo[strings.ToLower(cell)]
			if !ok {
				r.add(at, u.Name, NotTakenOver, "expected yes or no in the column disabled")
				return
			}
			u.Disabled = disabled
		default:
			if err := u.Set(name, cell); err != nil {
				r.add(at, u.Name, NotTakenOver, err.Error())
				return
			}
		}
	}
	if !proven {
		r.add(place{number, 1}, u.Name, NotTakenOver, "has neither a password nor a hash")
		return
	}
	r.take(place{number, 1}, u, notes)
}

var yesNo = map[string]bool{"yes": true, "true": true, "1": true, "x": true, "no": false, "false": false, "0": false}
