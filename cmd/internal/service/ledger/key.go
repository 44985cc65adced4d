package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Key is the row of an access key. The key itself is not kept, only its hash.
// Revoked rows stay, so that ids in the audit log keep their names.
type Key struct {
	ID, Name string
	Hash     []byte
	Limits   string // JSON
	Created  time.Time
	Used     time.Time // about when it was used last
	Revoked  time.Time // zero while it is good
}

// AddKey makes a key durable.
func (l *Ledger) AddKey(ctx context.Context, k Key) error {
	return l.Write(ctx, func(tx *Tx) error {
		return tx.Exec("INSERT INTO keys (id, name, hash, limits, created, used, revoked) VALUES (?,?,?,?,?,0,0)", k.ID, k.Name, k.Hash, k.Limits, stamp(k.Created))
	})
}

// Keys lists all keys by their time.
// All of them, revoked ones too: a service has tens of keys, not thousands.
func (l *Ledger) Keys(ctx context.Context) ([]Key, error) {
	return list(ctx, l, func(r rowScanner) (k Key, err error) {
		var created, used, revoked int64
		err = r.Scan(&k.ID, &k.Name, &k.Hash, &k.Limits, &created, &used, &revoked)
		k.Created, k.Used, k.Revoked = when(created), when(used), when(revoked)
		return k, err
	}, "SELECT id, name, hash, limits, created, used, revoked FROM keys ORDER BY created, id")
}

// RevokeKey ends the one key that has an id or a name, and gives it. Names need not be unique: if several good keys have it, none ends, and
// *ManyKeysError tells them. An id goes before a name. ErrNone if no good key has it.
func (l *Ledger) RevokeKey(ctx context.Context, name string, now time.Time) (k Key, err error) {
	keys, err := l.Keys(ctx)
	if err != nil {
		return k, err
	}
	var named []Key
	for _, k := range keys {
		switch {
		case !k.Revoked.IsZero():
		case k.ID == name:
			return k, l.revoke(ctx, k.ID, now)
		case k.Name == name:
			named = append(named, k)
		}
	}
	switch len(named) {
	case 0:
		return k, ErrNone
	case 1:
		return named[0], l.revoke(ctx, named[0].ID, now)
	}
	return k, &ManyKeysError{Keys: named}
}

// ManyKeysError says that a name is that of several good keys.
type ManyKeysError struct{ Keys []Key }

// Error names them by their ids.
func (e *ManyKeysError) Error() string {
	var ids []string
	for _, k := range e.Keys {
		ids = append(ids, k.ID)
	}
	return fmt.Sprintf("%d good keys have the name %q: revoke them by their ids, which are %s", len(ids), e.Keys[0].Name, strings.Join(ids, ", "))
}

// revoke ends a key by its id. ErrNone if somebody else has ended it meanwhile.
func (l *Ledger) revoke(ctx context.Context, id string, now time.Time) error {
	return l.Write(ctx, func(tx *Tx) error {
		n, err := tx.Change("UPDATE keys SET revoked = ? WHERE id = ? AND revoked = 0", stamp(now), id)
		if err == nil && n == 0 {
			err = ErrNone
		}
		return err
	})
}

// UsedKey notes that a key was used.
// At most about once an hour for each key; a lost one does no harm.
func (l *Ledger) UsedKey(ctx context.Context, id string, now time.Time) error {
	return l.Write(ctx, func(tx *Tx) error { return tx.Exec("UPDATE keys SET used = ? WHERE id = ?", stamp(now), id) })
}

// Setting gives the value of a name, which fresh makes the first time it is asked for; all replicas get the same.
// Of two replicas that make it at the same time, the first one's value stays.
func (l *Ledger) Setting(ctx context.Context, name string, fresh func() []byte) ([]byte, error) {
	get := func() ([]byte, error) {
		return one(ctx, l, func(r rowScanner) (b []byte, err error) { return b, r.Scan(&b) }, "SELECT value FROM settings WHERE name = ?", name)
	}
	if value, err := get(); !errors.Is(err, ErrNone) {
		return value, err
	}
	err := l.Write(ctx, func(tx *Tx) error {
		return tx.Exec("INSERT INTO settings (name, value) VALUES (?,?) ON CONFLICT DO NOTHING", name, fresh())
	})
	if err != nil {
		return nil, err
	}
	return get()
}
