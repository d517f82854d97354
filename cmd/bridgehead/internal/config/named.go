package config

import (
	"slices"
	"strings"
)

// table is a sort of sections of which there may be several, each with a name
// that the site chooses: [pools.staff], [radius.campus].
type table struct {
	name  string // "pools"
	one   string // what one is: "pool"
	after string // the section behind which they are explained
	// example is the settings of one, for a hint.
	example string
	// settings are those of one, those of the sections within it included.
	settings func(name string) []setting
	// names are of those that the configuration holds, in the order of the files.
	names func(c *Config) []string
	// reserved can't be a name; where tells what is used instead.
	reserved, where string
}

// tables are all of them.
func tables() []table { return []table{poolTable, ruleTable, groupTable, radiusTable, daeClientTable} }

// named finds the table of a section, and the name in it. A section within a
// named one, such as [radius.campus.tls], is found, too.
func named(section string) (t table, name string, ok bool) {
	for _, t := range tables() {
		rest, below := strings.CutPrefix(section, t.name+".")
		name, _, within := strings.Cut(rest, ".")
		if !below || name == "" || t.reserved == name || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			continue
		}
		holds := !within || slices.ContainsFunc(t.settings(name), func(s setting) bool { return s.section() == section })
		return t, name, holds
	}
	return table{}, "", false
}

// tableOf finds a table by its own section.
func tableOf(section string) (table, bool) {
	for _, t := range tables() {
		if t.name == section {
			return t, true
		}
	}
	return table{}, false
}

// settingAt finds the setting of a dotted path.
func settingAt(path string) (setting, bool) {
	list := schema
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		if t, name, ok := named(path[:i]); ok {
			list = t.settings(name)
		}
	}
	for _, s := range list {
		if s.path == path {
			return s, true
		}
	}
	return setting{}, false
}

// settings are the fixed ones and, each behind its section, those of the named
// sections.
func (c *Config) settings() []setting {
	var list []setting
	for i := range schema {
		list = append(list, schema[i])
		if i+1 < len(schema) && schema[i+1].section() == schema[i].section() {
			continue
		}
		for _, t := range tables() {
			if t.after == schema[i].section() {
				for _, name := range t.names(c) {
					list = append(list, t.settings(name)...)
				}
			}
		}
	}
	return list
}

// namesIn are the names in a table, those of sections included that hold
// nothing.
func (c *Config) namesIn(t table) []string {
	list := t.names(c)
	for section := range c.headers {
		if in, name, ok := named(section); ok && in.name == t.name && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}
