package keys

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// clock is a time that the test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func ring(t *testing.T) (*Ring, *ledger.Ledger, *clock) {
	t.Helper()
	l, err := ledger.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &clock{time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)}
	r, err := Open(t.Context(), l, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return r, l, c
}

func add(t *testing.T, l *ledger.Ledger, c *clock, limits Limits) (string, ledger.Key) {
	t.Helper()
	text, row, err := New("ci", limits, c.at)
	if err == nil {
		err = l.AddKey(t.Context(), row)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(Refresh)
	return text, row
}

func TestKeysAreFoundByTheirTextOnly(t *testing.T) {
	r, l, c := ring(t)
	if !r.Empty(t.Context()) {
		t.Error("a new ledger has keys")
	}
	text, row := add(t, l, c, Limits{Scopes: []Scope{Submit}})
	if strings.Contains(string(row.Hash), text) || strings.Contains(row.Limits, text) {
		t.Error("the row holds the key")
	}
	if k := r.Find(t.Context(), text); k == nil || k.ID != row.ID || !k.May(Submit) || k.May(Read) || k.May(Admin) {
		t.Errorf("found %+v", k)
	}
	for name, wrong := range map[string]string{"empty": "", "id alone": "cmfy_" + row.ID, "id and nothing": "cmfy_" + row.ID + "_", "cut": text[:len(text)-1],
		"longer": text + "x", "other id": strings.Replace(text, row.ID, "aaaaaaaaaa", 1), "huge": "cmfy_" + strings.Repeat("a", 10_000)} {
		if r.Find(t.Context(), wrong) != nil {
			t.Errorf("%s: found", name)
		}
	}
}

func TestARevokedKeyIsGoneSoon(t *testing.T) {
	r, l, c := ring(t)
	text, row := add(t, l, c, Limits{Scopes: []Scope{Read}})
	k := r.Find(t.Context(), text)
	cookie := r.Login(k)
	if k, err := l.RevokeKey(t.Context(), "ci", c.at); k.Name != "ci" || err != nil {
		t.Fatal(k, err)
	}
	c.at = c.at.Add(Refresh)
	if r.Find(t.Context(), text) != nil || r.ByID(row.ID) != nil {
		t.Error("a revoked key is good")
	}
	if k, _ := r.Session(t.Context(), cookie); k != nil {
		t.Error("the session of a revoked key is good")
	}
	if r.Empty(t.Context()) {
		t.Error("the last key was revoked, and everybody is let in")
	}
}

func TestSessions(t *testing.T) {
	r, l, c := ring(t)
	text, _ := add(t, l, c, Limits{Scopes: []Scope{Read}})
	k := r.Find(t.Context(), text)
	cookie := r.Login(k)
	got, csrf := r.Session(t.Context(), cookie)
	if got != k || csrf == "" || strings.Contains(cookie, csrf) || strings.Contains(cookie, text) {
		t.Errorf("session %v, csrf %q", got, csrf)
	}
	for _, wrong := range []string{"", ".", cookie + "x", "x" + cookie, cookie[:len(cookie)-2], strings.Replace(cookie, ".", ".9", 1)} {
		if k, _ := r.Session(t.Context(), wrong); k != nil {
			t.Errorf("%q is good", wrong)
		}
	}
	if _, other := r.Session(t.Context(), r.Login(k)); SameCSRF(other, csrf) || !SameCSRF(csrf, csrf) {
		t.Error("two sessions share a token")
	}
	c.at = c.at.Add(SessionTime)
	if k, _ := r.Session(t.Context(), cookie); k != nil {
		t.Error("a session does not end")
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, err := From(ledger.Key{ID: "a", Hash: make([]byte, 32), Limits: `{"rate": 10}`})
		if err != nil {
			t.Fatal(err)
		}
		served := 0
		for range 1000 {
			if ok, _ := k.Allow(time.Now()); ok {
				served++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if served < 115 || served > 121 { // 20 at once, then 10 a second for 10 s
			t.Errorf("served %d in 10 s", served)
		}
	})
}

func TestLimitsAreChecked(t *testing.T) {
	for name, bad := range map[string]Limits{"no scope": {}, "unknown scope": {Scopes: []Scope{"write"}}, "negative": {Scopes: []Scope{Read}, BudgetUSD: -1},
		"heavy": {Scopes: []Scope{Read}, Weight: 1001}} {
		if _, _, err := New("x", bad, time.Time{}); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	if _, _, err := New("a\nb", Limits{Scopes: []Scope{Read}}, time.Time{}); err == nil {
		t.Error("a name with a line break was taken")
	}
}
