package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// Scope is something that a key may do.
type Scope string

// The scopes. Admin may do all, and sees the works of all keys.
const (
	Submit Scope = "submit" // batches and jobs: submit, cancel, retry
	Read   Scope = "read"   // look at its own works
	Admin  Scope = "admin"
)

// Scopes lists them.
var Scopes = []Scope{Submit, Read, Admin}

// Limits of a key. The zero value may do nothing and is bounded by nothing.
// They are stored as JSON with the key; the names stay.
type Limits struct {
	Scopes []Scope `json:"scopes"`
	// BudgetUSD is how much the works of one calendar month (UTC) may cost, as estimated; 0 means no limit.
	BudgetUSD float64 `json:"budget_usd,omitempty"`
	// Rate is how many requests a second are served, with bursts of twice as many; 0 means no limit.
	Rate float64 `json:"rate,omitempty"`
	// Concurrent is how many works run at one time; more of them wait. 0 means no limit.
	Concurrent int `json:"concurrent,omitempty"`
	// Weight is the key's share of the endpoints while others wait too; 0 counts as 1.
	Weight int `json:"weight,omitempty"`
	// Priority puts the key's works before those of lower ones, whatever the weights.
	Priority int `json:"priority,omitempty"`
	// DiskBytes bounds what its works keep on disk; 0 means no limit.
	DiskBytes int64 `json:"disk_bytes,omitempty"`
	// Retention is how long works that have ended are kept; 0 takes the service's.
	Retention time.Duration `json:"retention_ns,omitempty"`
}

// Key is a client, known by its key.
// It is read-only but for its limiter, which has a lock of its own.
type Key struct {
	ID, Name string // the id stands in rows and logs
	Limits
	hash    [sha256.Size]byte // SHA-256 of the whole text of the key
	Created time.Time
	Used    time.Time // to about an hour
	Revoked time.Time // zero in the ring, which holds good ones only

	limiter *rate.Limiter // nil without a rate
}

// Anyone is who speaks where no keys are needed.
var Anyone = &Key{Name: "anyone on this machine", Limits: Limits{Scopes: []Scope{Admin}}}

// Actor is the key in the audit log. k may be nil, for a service without keys.
// For example "k3f9ab2c7d ci".
func (k *Key) Actor() string {
	if k == nil {
		return ""
	}
	return strings.TrimSpace(k.ID + " " + k.Name)
}

// May tells whether the key has a scope.
// A nil key may do nothing.
func (k *Key) May(s Scope) bool {
	return k != nil && (slices.Contains(k.Scopes, s) || slices.Contains(k.Scopes, Admin))
}

// Allow takes one request from the key's rate. retry is when to come again, if it was refused.
// A refused request takes nothing from the rate, so asking too often does not make the wait longer.
func (k *Key) Allow(now time.Time) (ok bool, retry time.Duration) {
	if k.limiter == nil {
		return true, 0
	}
	r := k.limiter.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return false, wait
	}
	return true, 0
}

// Share is the weight as it counts.
func (k *Key) Share() int { return max(1, k.Weight) }

// prefix marks our keys, so that a leaked one can be found by scanners.
const prefix = "cmfy_"

// Letters that look alike (l, o, 0, 1) are left out, since people read ids aloud.
var lower = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// New makes a key. text is shown once and never kept.
// The text is cmfy_ID_SECRET; the hash is of all of it, so the id cannot be exchanged.
func New(name string, limits Limits, now time.Time) (text string, row ledger.Key, err error) {
	if err := check(name, limits); err != nil {
		return "", ledger.Key{}, err
	}
	id, secret := make([]byte, 6), make([]byte, 32)
	rand.Read(id) // never fails
	rand.Read(secret)
	row = ledger.Key{ID: lower.EncodeToString(id), Name: name, Created: now}
	text = prefix + row.ID + "_" + base64.RawURLEncoding.EncodeToString(secret)
	sum := sha256.Sum256([]byte(text))
	row.Hash = sum[:]
	data, err := json.Marshal(limits)
	row.Limits = string(data)
	return text, row, err
}

// check holds what a new key must have.
func check(name string, l Limits) error {
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("a key's name has 1 to 100 bytes and no control characters")
	}
	if len(l.Scopes) == 0 {
		return fmt.Errorf("a key needs at least one scope of submit, read, admin")
	}
	for _, s := range l.Scopes {
		if !slices.Contains(Scopes, s) {
			return fmt.Errorf("there is no scope %q; there are submit, read, admin", s)
		}
	}
	// Written so that NaN, of which every comparison is false, is out of range too.
	switch {
	case !(l.BudgetUSD >= 0 && l.BudgetUSD <= 1e9):
		return fmt.Errorf("a key's budget is 0 to 1e9 USD")
	case l.Rate != 0 && !(l.Rate >= 0.001 && l.Rate <= 1e6):
		return fmt.Errorf("a key's rate is 0, for no limit, or 0.001 to 1e6 requests a second")
	case l.Concurrent < 0 || l.Weight < 0 || l.Weight > 1000 || l.DiskBytes < 0 || l.Retention < 0 || l.Priority < -100 || l.Priority > 100:
		return fmt.Errorf("a limit is out of its range: weight 0 to 1000, priority -100 to 100, the others not below 0")
	}
	return nil
}

// From reads a row of the ledger.
// A row that cannot be read is an error of the whole ring: better no service than one without somebody's limits.
func From(row ledger.Key) (*Key, error) {
	k := &Key{ID: row.ID, Name: row.Name, Created: row.Created, Used: row.Used, Revoked: row.Revoked}
	if err := json.Unmarshal([]byte(row.Limits), &k.Limits); err != nil || len(row.Hash) != sha256.Size {
		return nil, fmt.Errorf("the row of key %s cannot be read", row.ID)
	}
	copy(k.hash[:], row.Hash)
	if k.Rate > 0 {
		k.limiter = rate.NewLimiter(rate.Limit(k.Rate), max(1, int(2*k.Rate))) // a burst of at least one request
	}
	return k, nil
}

// is compares a key's text in constant time. k may be nil: then it takes as long, and is false.
func (k *Key) is(text string) bool {
	sum := sha256.Sum256([]byte(text))
	var want [sha256.Size]byte
	if k != nil {
		want = k.hash
	}
	equal := subtle.ConstantTimeCompare(sum[:], want[:]) == 1
	return equal && k != nil
}

// idOf cuts the id out of a key's text.
// "" for what does not look like a key; then no key is found, at the same cost.
func idOf(text string) string {
	rest, ok := strings.CutPrefix(text, prefix)
	id, _, found := strings.Cut(rest, "_")
	if !ok || !found || len(id) > 32 {
		return ""
	}
	return id
}
