package config

import (
	"slices"
	"strings"
)

// Nearest gives the known word that a mistyped one most likely means, or ""
// where none is near.
func Nearest(word string, known []string) string {
	const longest = 64 // a word of the peer's making must not cost more than this squared
	if len(word) > longest {
		return ""
	}
	word = strings.ToLower(word)
	best, distance := "", max(len(word)/3, 1)+1
	for _, k := range known {
		if d := editDistance(word, strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// didYouMean is the hint for a mistyped word: the nearest known one, else all
// of them.
func didYouMean(word string, known []string) string {
	if n := Nearest(word, known); n != "" {
		return `did you mean "` + n + `"?`
	}
	known = slices.Clone(known)
	slices.Sort(known)
	return "known: " + strings.Join(known, ", ")
}
