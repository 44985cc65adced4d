package ledger

import (
	"context"
	"fmt"
	"strings"
)

// migrations bring the tables forward, one version each. A published one is never changed; a new one is added at the end. Times are
// microseconds since 1970, 0 for none. BLOB becomes BYTEA on Postgres.
var migrations = []string{
	`CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL);
	CREATE TABLE keys (
		id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, limits TEXT NOT NULL, -- limits: JSON
		created BIGINT NOT NULL, used BIGINT NOT NULL, revoked BIGINT NOT NULL
	);
	CREATE TABLE works ( -- batches and single jobs
		id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, pool TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
		priority INTEGER NOT NULL, renders BIGINT NOT NULL, created BIGINT NOT NULL, started BIGINT NOT NULL, finished BIGINT NOT NULL,
		expires BIGINT NOT NULL, -- when it is swept after its end
		request BLOB NOT NULL, sealed BLOB NOT NULL, result TEXT NOT NULL, error TEXT NOT NULL,
		spent DOUBLE PRECISION NOT NULL, bytes BIGINT NOT NULL, turns INTEGER NOT NULL, -- how often it was retried
		idem TEXT NOT NULL, idem_hash BLOB NOT NULL,
		wish TEXT NOT NULL, -- what its holder shall do: cancel; or how it is run again: resubmit
		holder TEXT NOT NULL, epoch BIGINT NOT NULL, beat BIGINT NOT NULL -- the replica that runs it
	);
	CREATE UNIQUE INDEX works_idem ON works (owner, idem) WHERE idem <> '';
	CREATE INDEX works_state ON works (state, created);
	CREATE INDEX works_owner ON works (owner, kind, id);
	CREATE TABLE events (work TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (work, seq));
	CREATE TABLE parts ( -- the scheduler's state of a job: its meta, its attempts by number, its records by render
		work TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (work, kind, id)
	);
	CREATE TABLE audit (at BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL);
	CREATE INDEX audit_at ON audit (at);
	CREATE TABLE deliveries ( -- webhooks
		id TEXT PRIMARY KEY, work TEXT NOT NULL, owner TEXT NOT NULL, host TEXT NOT NULL, event TEXT NOT NULL, sealed BLOB NOT NULL, body TEXT NOT NULL,
		state TEXT NOT NULL, tries INTEGER NOT NULL, due BIGINT NOT NULL, created BIGINT NOT NULL, status INTEGER NOT NULL, error TEXT NOT NULL
	);
	CREATE INDEX deliveries_due ON deliveries (state, due);
	CREATE INDEX deliveries_work ON deliveries (work);`,
	`ALTER TABLE works ADD COLUMN reserved DOUBLE PRECISION NOT NULL DEFAULT 0; -- USD of its key's budget that it may spend in all, while it runs
	CREATE INDEX works_holder ON works (holder) WHERE holder <> '';`,
	`CREATE TABLE bygone ( -- what works have spent that are deleted, so that deleting them gives no budget back
		owner TEXT NOT NULL, month BIGINT NOT NULL, -- the month, UTC, that they were made in
		spent DOUBLE PRECISION NOT NULL, PRIMARY KEY (owner, month)
	);`,
	`ALTER TABLE works ADD COLUMN front INTEGER NOT NULL DEFAULT 0; -- 1: before its owner's others of the same line
	CREATE INDEX works_history ON works (pool, finished, id) WHERE kind = 'native'; -- /history is by the time of the end`,
}

// migrate makes the tables, or brings them to the newest version. On Postgres replicas that start at once take turns.
// Each version is one transaction; a crash in between leaves the one before. Older programs refuse tables of a newer version.
func (l *Ledger) migrate(ctx context.Context) error {
	if l.postgres {
		if _, err := l.conn.ExecContext(ctx, "SELECT pg_advisory_lock(7710642)"); err != nil {
			return err
		}
		defer l.conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(7710642)")
		if _, err := l.conn.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+postgresSchema); err != nil {
			return err
		}
	}
	if _, err := l.conn.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS version (version INTEGER NOT NULL)"); err != nil {
		return err
	}
	version := 0
	if err := l.conn.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("a newer comfyc wrote these tables (version %d, this one reads up to %d)", version, len(migrations))
	}
	for v := version; v < len(migrations); v++ {
		text := migrations[v]
		if l.postgres {
			text = strings.ReplaceAll(text, "BLOB", "BYTEA")
		}
		script := "BEGIN;" + text + fmt.Sprintf("\nDELETE FROM version; INSERT INTO version VALUES (%d); COMMIT", v+1)
		if _, err := l.conn.ExecContext(ctx, script); err != nil {
			l.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			return fmt.Errorf("bring the tables to version %d: %w", v+1, err)
		}
	}
	return nil
}
