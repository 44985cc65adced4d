package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Postgres is a database that holds many batches and that many machines share. It may be used from many goroutines at once.
type Postgres struct {
	Pool  *pgxpool.Pool
	where string // host and database, for messages: no password
}

// Sessions are ended by the server when their machine has gone silent amid a transaction, so that it holds no lock for longer. Both are shorter
// than, or as long as, a lease lasts without a heartbeat: what a dead machine had locked is free when its slices are taken over. connectTime
// bounds the first connection and the migration together.
const (
	sessionIdle      = 10 * time.Second
	sessionStatement = 30 * time.Second
	connectTime      = 15 * time.Second
)

// ConnectPostgres opens a database, such as postgres://user@host/database, and brings its schema to the newest version. Connect to the
// server itself: a pooler that hands out its connections per transaction loses the settings that sessions start with.
// Errors: *FileError if the schema is not comfyc's, or of a newer one.
func ConnectPostgres(ctx context.Context, url string) (*Postgres, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("this is not the URL of a Postgres database, such as postgres://user@host/database") // the cause could hold a password
	}
	p := &Postgres{where: fmt.Sprintf("%s/%s", cfg.ConnConfig.Host, cfg.ConnConfig.Database)}
	params := cfg.ConnConfig.RuntimeParams
	// Set per session, and so lost behind a pooler in transaction mode. The tables are then not found: it fails at once, and not halfway.
	params["search_path"] = Schema
	// A server may be configured with off, where a commit that was told is lost with its power.
	params["synchronous_commit"] = "on"
	params["idle_in_transaction_session_timeout"] = fmt.Sprint(sessionIdle.Milliseconds())
	params["statement_timeout"] = fmt.Sprint(sessionStatement.Milliseconds())
	params["timezone"] = "UTC"
	if params["application_name"] == "" {
		params["application_name"] = "comfyc"
	}
	// The slices of one machine write at the same time, each of them through a connection for the length of one commit.
	cfg.MaxConns = max(cfg.MaxConns, 12)
	// The pool outlives the call: its connections must not end with the context of whoever opened it.
	if p.Pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), cfg); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", p.where, err)
	}
	if err := p.prepare(ctx); err != nil {
		p.Pool.Close()
		return nil, err
	}
	return p, nil
}

// prepare checks that the server is there, and migrates.
func (p *Postgres) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	err := p.Pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return migratePostgres(ctx, c.Conn(), p.where) })
	var file *FileError
	if err != nil && !errors.As(err, &file) {
		return fmt.Errorf("connect to %s: %w", p.where, err)
	}
	return err
}

// Where names host and database, for messages.
func (p *Postgres) Where() string { return p.where }

// Close ends all connections.
func (p *Postgres) Close() { p.Pool.Close() }

// Tx runs f in one transaction, and commits if it gives no error.
func (p *Postgres) Tx(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, p.Pool, f)
}
