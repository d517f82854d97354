package config

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSecretsAreNotQuoted: whoever writes a secret where the name of its file
// belongs sees the place of the mistake, and nobody the secret.
func TestSecretsAreNotQuoted(t *testing.T) {
	const secret = "open sesame/16.octets"
	for name, lines := range map[string]string{
		"unknown setting":        "[radius.a]\naddress = \"192.0.2.1\"\nsecret = \"" + secret + "\"\n",
		"literal":                "[radius.a]\naddress = \"192.0.2.1\"\nsecret = '" + secret + "'\n",
		"quoted key":             "[radius.a]\naddress = \"192.0.2.1\"\n\"shared secret\" = \"" + secret + "\"\n",
		"in place of the file":   "[radius.a]\naddress = \"192.0.2.1\"\nsecret_file = \"" + secret + "\"\n",
		"of an unknown section":  "[raduis.a]\nsecret = \"" + secret + "\"\n",
		"outside a section":      "secret = \"" + secret + "\"\n",
		"without quotes":         "[radius.a]\nsecret = " + secret + "\n",
		"without an end":         "[radius.a]\nsecret = \"" + secret + "\n",
		"without an equals sign": "[radius.a]\nsecret " + secret + "\n",
		"in an inline table":     "[radius]\na = { adress = \"192.0.2.1\", secret = \"" + secret + "\", weight = \"x\" }\n",
		"in a list":              "[radius.a]\nsecret_file = [\"" + secret + "\"]\n",
		"on several lines":       "[radius.a]\nsecret = \"\"\"\n" + secret + "\"\"\"\nsecret = 1\n",
		"of a credential":        "[radius.a]\nsecret_file = \"credential:" + secret + "\"\n",
		"of a client":            "[dae.clients.a]\naddress = \"192.0.2.1\"\nsecret_file = \"" + secret + "\"\n",
		"a password":             "[auth.ldap]\npassword = \"" + secret + "\"\n",
		"in place of its file":   "[auth.ldap]\nurls = [\"ldaps://192.0.2.1\"]\nbind_dn = \"cn=x\"\npassword_file = \"" + secret + "\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			text := good
			if strings.HasPrefix(lines, "secret") {
				text, lines = lines+text, ""
			}
			_, problems := Load(folder(t, text+lines))
			if len(problems) == 0 {
				t.Fatal("nothing is wrong with it")
			}
			for _, p := range problems {
				asJSON, err := json.Marshal(p)
				if err != nil {
					t.Fatal(err)
				}
				for _, said := range []string{p.String(), string(asJSON)} {
					if strings.Contains(said, "sesame") {
						t.Errorf("says:\n%s", said)
					}
				}
				if p.Line == 0 || p.Message == "" {
					t.Errorf("doesn't say what is wrong, or where: %+v", p)
				}
			}
		})
	}
}
