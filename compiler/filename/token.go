// The tokens are ComfyUI's own for file name prefixes where it has them (%date:…%, %year%, %width%,
// %Node.widget%), so that a prefix can be copied from a workflow. Only the calendar is computed here; seeds
// and sizes are known to the caller.

package filename

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Plain lists the tokens without a parameter; the calendar ones are ComfyUI's. The others are axis.NAME, NODE.INPUT and date:FORMAT.
var Plain = []string{"seed", "index", "batch", "width", "height", "year", "month", "day", "hour", "minute", "second"}

// known tells tokens that have a form of their own from mistakes. Anything with a dot may be an axis or an
// input of a node, which is looked up later; %sed% has none, so it is a mistake here.
func known(token string) bool {
	if slices.Contains(Plain, token) {
		return true
	}
	if date, ok := strings.CutPrefix(token, "date:"); ok {
		return date != ""
	}
	node, widget, ok := strings.Cut(token, ".")
	return ok && node != "" && widget != ""
}

// Calendar gives the text of the tokens that a time alone decides: date:FORMAT, year, month, day, hour, minute and second, in t's zone.
func Calendar(token string, t time.Time) (string, bool) {
	if format, ok := strings.CutPrefix(token, "date:"); ok {
		return formatDate(format, t), true
	}
	switch token {
	case "year":
		return formatDate("yyyy", t), true
	case "month":
		return formatDate("MM", t), true
	case "day":
		return formatDate("dd", t), true
	case "hour":
		return formatDate("hh", t), true
	case "minute":
		return formatDate("mm", t), true
	case "second":
		return formatDate("ss", t), true
	}
	return "", false
}

// formatDate fills in ComfyUI's date letters: yyyy yy MM M dd d hh h mm m ss s, hours from 0 to 23.
// Everything else stands for itself: "yyyy-MM-dd_hhmm" is 2026-03-09_1405.
func formatDate(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); {
		n := 1
		for i+n < len(format) && format[i+n] == format[i] {
			n++
		}
		b.WriteString(dateRun(format[i:i+n], t))
		i += n
	}
	return b.String()
}

// dateRun formats a run of one letter; runs of a length that has no meaning (yyy, ddd) stay as they are.
func dateRun(run string, t time.Time) string {
	letter, n := run[0], len(run)
	if letter == 'y' {
		switch n {
		case 4:
			return fmt.Sprintf("%04d", t.Year())
		case 2:
			return fmt.Sprintf("%02d", t.Year()%100)
		}
		return run
	}
	value, ok := map[byte]int{'M': int(t.Month()), 'd': t.Day(), 'h': t.Hour(), 'm': t.Minute(), 's': t.Second()}[letter]
	switch {
	case !ok || n > 2:
		return run
	case n == 2:
		return fmt.Sprintf("%02d", value)
	}
	return strconv.Itoa(value)
}
