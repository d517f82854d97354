package config

import "strings"

// Explained is one setting as the gateway understands it.
type Explained struct {
	Setting string `json:"setting"` // such as "server.name"
	Value   string `json:"value"`   // as TOML
	Origin  string `json:"origin"`  // file:line, or "default"
	About   string `json:"about"`   // what it is for
}

// Explain lists every setting with its value and where that came from.
func (c *Config) Explain() []Explained {
	settings := c.settings()
	list := make([]Explained, 0, len(settings))
	for i := range settings {
		s := &settings[i]
		origin := "default"
		if e, ok := c.entries[s.path]; ok {
			origin = e.key.line()
		}
		list = append(list, Explained{Setting: s.path, Value: s.show(c), Origin: origin, About: s.about})
	}
	return list
}

// Section is the setting's section, such as "auth.file".
func (e Explained) Section() string { return e.Setting[:strings.LastIndexByte(e.Setting, '.')] }

// Key is the setting's name within its section.
func (e Explained) Key() string { return e.Setting[strings.LastIndexByte(e.Setting, '.')+1:] }
