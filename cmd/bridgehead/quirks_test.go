package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridgehead/ikev2"
)

const quirksIntroduction = `# Allowances for peculiar clients

Real clients depart from RFC 7296 in their own ways, and the gateway makes
allowances. Each has an id: W are those for the client built into Windows, A
for Apple's, D for Android's, S for strongSwan's, M for MikroTik's; G hold for
every client.

` + "`bridgehead sessions --wide`" + ` shows which are made for a session,
` + "`bridgehead why`" + ` for a login that was refused. Should one do harm at your site,
` + "`ike.quirks_off = [\"W6\"]`" + ` switches it off; those marked as fixed stay.

The page is made from the program: ` + "`go test ./cmd/bridgehead -run Quirks -update`" + `.

| id | what the gateway does | |
|---|---|---|
`

// TestQuirksAreDocumented pins QUIRKS.md to the program.
func TestQuirksAreDocumented(t *testing.T) {
	var page strings.Builder
	page.WriteString(quirksIntroduction)
	for _, q := range ikev2.AllQuirks() {
		fixed := ""
		if q.Fixed() {
			fixed = "fixed"
		}
		fmt.Fprintf(&page, "| %s | %s | %s |\n", q, q.Meaning(), fixed)
	}
	const file = "QUIRKS.md"
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Errorf("-file +program:\n%s", diff)
	}
}
