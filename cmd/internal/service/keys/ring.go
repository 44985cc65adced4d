package keys

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// Refresh is how often the ring looks at the ledger: so long a revoked key may still work.
const Refresh = 2 * time.Second

// maxText bounds a key's text: longer ones are not even hashed.
const maxText = 256

// Ring holds the good keys.
// It is read from the ledger at most every two seconds, by whichever request comes first after that.
type Ring struct {
	ledger *ledger.Ledger
	secret []byte // of sessions
	now    func() time.Time

	mu     sync.RWMutex
	byID   map[string]*Key
	any    bool                 // there are keys, good or revoked
	loaded time.Time            // when it was read last
	noted  map[string]time.Time // when a key's use was written last
}

// Open reads the keys.
func Open(ctx context.Context, l *ledger.Ledger, now func() time.Time) (*Ring, error) {
	secret, err := l.Setting(ctx, "session-secret", func() []byte {
		b := make([]byte, 32)
		rand.Read(b)
		return b
	})
	if err != nil {
		return nil, err
	}
	r := &Ring{ledger: l, secret: secret, now: now, noted: map[string]time.Time{}}
	return r, r.load(ctx)
}

// load reads the good keys anew. Keys that are known keep their limiters.
// Revoked keys are left out. Limits of a key that is known are not read again.
func (r *Ring) load(ctx context.Context) error {
	rows, err := r.ledger.Keys(ctx)
	if err != nil {
		return err
	}
	fresh := map[string]*Key{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		if !row.Revoked.IsZero() {
			continue
		}
		if old := r.byID[row.ID]; old != nil {
			fresh[row.ID] = old
			continue
		}
		k, err := From(row)
		if err != nil {
			return err
		}
		fresh[row.ID] = k
	}
	r.byID, r.any, r.loaded = fresh, len(rows) > 0, r.now()
	return nil
}

// current reads the keys anew if it is time. Trouble leaves what is known.
// A database that is away does not lock anybody out; nor does it let anybody new in.
func (r *Ring) current(ctx context.Context) {
	r.mu.RLock()
	old := r.now().Sub(r.loaded) >= Refresh
	r.mu.RUnlock()
	if old {
		_ = r.load(ctx)
	}
}

// Empty tells that there never were keys, so that none are needed.
// Revoked ones count: who revokes the last key does not want to let everybody in.
func (r *Ring) Empty(ctx context.Context) bool {
	r.current(ctx)
	r.mu.RLock()
	defer r.mu.RUnlock()
	return !r.any
}

// Find gives the key that a text is; nil if it is none.
func (r *Ring) Find(ctx context.Context, text string) *Key {
	if len(text) > maxText {
		return nil
	}
	r.current(ctx)
	k := r.ByID(idOf(text))
	if !k.is(text) {
		return nil
	}
	r.note(ctx, k)
	return k
}

// ByID gives a good key, nil if there is none.
func (r *Ring) ByID(id string) *Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

// Owner gives the key that a work belongs to, for its limits. Works of keys that are gone, and of times without keys, have none.
func (r *Ring) Owner(id string) *Key {
	if k := r.ByID(id); k != nil {
		return k
	}
	return &Key{ID: id, Limits: Limits{Scopes: []Scope{Submit}}}
}

// note writes about once an hour that a key is in use.
func (r *Ring) note(ctx context.Context, k *Key) {
	now := r.now()
	r.mu.RLock()
	due := now.Sub(r.noted[k.ID]) >= time.Hour
	r.mu.RUnlock()
	if !due {
		return
	}
	r.mu.Lock()
	r.noted[k.ID] = now
	r.mu.Unlock()
	go r.ledger.UsedKey(context.WithoutCancel(ctx), k.ID, now) // nobody waits for it
}

// ByName gives the newest good key of a name, nil if there is none.
func (r *Ring) ByName(name string) (found *Key) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.byID {
		if k.Name == name && (found == nil || k.Created.After(found.Created)) {
			found = k
		}
	}
	return found
}
