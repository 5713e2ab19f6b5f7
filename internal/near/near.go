// Package near finds the word that was probably meant.
package near

import "strings"

// Suggest is "; did you mean WORD?" with the nearest of the known words, "" if none is near.
func Suggest(name string, known []string) string {
	if w := Word(name, known); w != "" {
		return "; did you mean " + w + "?"
	}
	return ""
}

// Word is the nearest of the known words, "" if none is near. Case does not count, and the end of a word that has
// underscores stands for it: NODELAY for TCP_NODELAY.
func Word(name string, known []string) string {
	best, least := "", 1+len(name)/3
	for _, k := range known {
		apart := max(len(name)-len(k), len(k)-len(name)) // the distance is no less
		suffix := len(name) > 3 && strings.HasSuffix(strings.ToLower(k), "_"+strings.ToLower(name))
		if k == name || apart > least && !suffix {
			continue
		}
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if suffix {
			d = 1
		}
		if d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
