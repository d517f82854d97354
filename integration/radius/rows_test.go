package radius_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compareRows compares rows of the database with lines whose columns a bar
// parts.
func compareRows(t *testing.T, got [][]string, want []string) {
	t.Helper()
	var lines []string
	for _, r := range got {
		lines = append(lines, strings.Join(r, "|"))
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the rows (-want +got):\n%s", cmp.Diff(want, lines))
	}
}
