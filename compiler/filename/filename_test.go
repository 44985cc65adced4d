package filename

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var values = map[string]string{
	"axis.prompt": "a fox: red/blue?", "KSampler.seed": "42", "seed": "42", "index": "0007", "axis.long": strings.Repeat("ab ", 100),
	"axis.empty": "", "axis.dots": "..", "axis.device": "con", "axis.KSampler.cfg": "4.5", "axis.rtl": "a\u202eb",
}

func lookup(token string) (string, bool) {
	v, ok := values[token]
	return v, ok
}

func TestExpand(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"%index%", "0007"},
		{"%axis.prompt%/%KSampler.seed%", "a fox_ red_blue_/42"},
		{"%axis.KSampler.cfg%", "4.5"},
		{"100%%-%seed%", "100%-42"},
		{"50% of it", "50% of it"},
		{"%axis.empty%", "_"},
		{"%axis.dots%/x", "_/x"},
		{"%axis.device%", "_con"},
		{"%axis.rtl%", "a_b"},
		{"a/b/%index%", "a/b/0007"},
	} {
		got, err := Expand(c.pattern, lookup)
		if err != nil || got != c.want {
			t.Errorf("Expand(%q) = %q, %v; want %q", c.pattern, got, err, c.want)
		}
	}
	if got, err := Expand("%axis.nosuch%", lookup); err == nil {
		t.Errorf("an unknown axis gave %q", got)
	}
	long, _ := Expand("%axis.long%", lookup)
	if len(long) > MaxSegment {
		t.Errorf("a segment of %d bytes", len(long))
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		pattern, message string
		start, end       int
	}{
		{"", "1 to 4096 bytes", 0, 0},
		{"a/%sed%", "there is no token %sed%", 2, 7},
		{"a:b", "':' is not allowed", 1, 2},
		{"a//b", "has no name", 0, 4},
		{"../%index%", "leads out", 0, 2},
		{"%date:%", "no token", 0, 7},
	} {
		got := Check(c.pattern)
		if len(got) != 1 || !strings.Contains(got[0].Message, c.message) || got[0].Start != c.start || got[0].End != c.end {
			t.Errorf("Check(%q) = %v, want %q at %d-%d", c.pattern, got, c.message, c.start, c.end)
		}
	}
	for _, ok := range []string{"%index%", "%axis.a b%/%Node.widget%", "%date:yyyy-MM-dd%/%batch%-%width%x%height%", "%year%"} {
		if got := Check(ok); len(got) != 0 {
			t.Errorf("Check(%q) = %v", ok, got)
		}
	}
}

func TestCalendar(t *testing.T) {
	at := time.Date(2026, 8, 3, 4, 5, 6, 0, time.UTC)
	for token, want := range map[string]string{
		"date:yyyy-MM-dd": "2026-08-03", "date:yy.M.d hh:mm:ss": "26.8.3 04:05:06", "year": "2026", "second": "06", "date:yyy": "yyy",
	} {
		if got, ok := Calendar(token, at); !ok || got != want {
			t.Errorf("Calendar(%q) = %q, %v; want %q", token, got, ok, want)
		}
	}
	if _, ok := Calendar("seed", at); ok {
		t.Error("seed is not of the calendar")
	}
}

func TestTokens(t *testing.T) {
	p, _ := Parse("x-%index%/%axis.a%")
	got := p.Tokens()
	if len(got) != 2 || got[0].Text != "index" || got[1].Text != "axis.a" || got[1].Start != 10 || got[1].End != 18 {
		t.Errorf("Tokens() = %v", got)
	}
}

func FuzzSafe(f *testing.F) {
	for _, s := range []string{"", "a", "..", "CON.txt", strings.Repeat("ü", 200), "a\x00b", " .x. ", "com¹"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := Safe(text)
		if s == "" || len(s) > MaxSegment || strings.ContainsAny(s, "/\\\x00:") || s == "." || s == ".." || !utf8.ValidString(s) {
			t.Fatalf("Safe(%q) = %q", text, s)
		}
		if again := Safe(s); again != s {
			t.Fatalf("Safe(%q) = %q, and again %q", text, s, again)
		}
	})
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"%index%", "%%", "%axis.prompt%/x", "a%b", "%date:yyyy%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		name, err := Expand(pattern, lookup)
		if err != nil {
			return
		}
		for _, s := range strings.Split(name, "/") {
			if Safe(s) != s {
				t.Fatalf("Expand(%q) = %q, whose %q is not safe", pattern, name, s)
			}
		}
	})
}
