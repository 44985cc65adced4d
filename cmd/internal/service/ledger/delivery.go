package ledger

import (
	"context"
	"time"
)

// Delivery is a webhook call that is owed, or was made. The address may hold a secret and is sealed; its host is kept for the log.
// One row for each call that is owed. It is deleted with its work.
type Delivery struct {
	ID      string // the Standard Webhooks message id, the same for every try
	Work    string
	Owner   string    // id of the key, by whose secret it is signed
	Host    string    // without path and query
	Event   string    // for example "batch.done"
	Sealed  []byte    // first byte p for plain or s for sealed, then the address
	Body    string    // JSON; the same for every try
	State   string    // due, delivered, or given-up
	Tries   int       // tries that were made
	Due     time.Time // of the next try
	Created time.Time
	Status  int    // of the last answer, 0 if there was none
	Error   string // of the last try, redacted; "" if it was taken
}

// AddDelivery makes a webhook call durable; one that is there already stays as it is.
// "ON CONFLICT DO NOTHING" makes a call that was noted before a crash and again after it one call.
func (l *Ledger) AddDelivery(ctx context.Context, d Delivery) error {
	return l.Write(ctx, func(tx *Tx) error {
		return tx.Exec(`INSERT INTO deliveries (id, work, owner, host, event, sealed, body, state, tries, due, created, status, error)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
			d.ID, d.Work, d.Owner, d.Host, d.Event, blob(d.Sealed), d.Body, d.State, d.Tries, stamp(d.Due), stamp(d.Created), d.Status, d.Error)
	})
}

// TakeDeliveries gives calls that are due, and puts each off until `until`, so that no other replica makes it meanwhile.
// Reading and taking are two steps: the update says which `due` it saw, so of two replicas one gets the row. An error gives
// what was taken before it.
func (l *Ledger) TakeDeliveries(ctx context.Context, now, until time.Time, limit int) (out []Delivery, err error) {
	due, err := list(ctx, l, scanDelivery, "SELECT "+deliveryColumns+" FROM deliveries WHERE state = 'due' AND due <= ? ORDER BY due LIMIT ?", stamp(now), limit)
	for _, d := range due {
		var mine bool
		werr := l.Write(ctx, func(tx *Tx) error {
			n, err := tx.Change("UPDATE deliveries SET due = ? WHERE id = ? AND state = 'due' AND due = ?", stamp(until), d.ID, stamp(d.Due))
			mine = n == 1
			return err
		})
		if werr != nil {
			return out, werr
		}
		if mine {
			out = append(out, d)
		}
	}
	return out, err
}

// SaveDelivery writes what came of a try.
// It is not fenced: only the replica that took the row writes it until `until`.
func (l *Ledger) SaveDelivery(ctx context.Context, d Delivery) error {
	return l.Write(ctx, func(tx *Tx) error {
		return tx.Exec("UPDATE deliveries SET state = ?, tries = ?, due = ?, status = ?, error = ? WHERE id = ?", d.State, d.Tries, stamp(d.Due), d.Status, d.Error, d.ID)
	})
}

// Deliveries lists the calls of one work.
// Oldest first, at most 100: a batch that is retried often has no more worth showing.
func (l *Ledger) Deliveries(ctx context.Context, work string) ([]Delivery, error) {
	return list(ctx, l, scanDelivery, "SELECT "+deliveryColumns+" FROM deliveries WHERE work = ? ORDER BY created, id LIMIT 100", work)
}

const deliveryColumns = "id, work, owner, host, event, sealed, body, state, tries, due, created, status, error"

func scanDelivery(r rowScanner) (d Delivery, err error) {
	var due, created int64
	err = r.Scan(&d.ID, &d.Work, &d.Owner, &d.Host, &d.Event, &d.Sealed, &d.Body, &d.State, &d.Tries, &due, &created, &d.Status, &d.Error)
	d.Due, d.Created = when(due), when(created)
	return d, err
}
