package lease

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// The most that a bundle may hold. All of it is in memory at once, on the machine that submits and on each that runs a slice, and passes through
// the database as rows of at most a file each.
const (
	MaxFiles  = 10_000
	MaxBundle = 256 << 20 // bytes
)

// Bundle is a batch with everything that it names: the source from which any machine compiles the same plan.
type Bundle struct {
	File  string            // path of the batch file among Files
	Files map[string][]byte // by path, with slashes, relative: as fs.ValidPath has it
}

// check bounds a bundle.
func (b Bundle) check() error {
	if _, ok := b.Files[b.File]; !ok {
		return fmt.Errorf("the bundle lacks its batch file %q", b.File)
	}
	if len(b.Files) > MaxFiles {
		return fmt.Errorf("the bundle has %d files, and may have %d", len(b.Files), MaxFiles)
	}
	// A path is bounded too: it is a key of the table. ValidPath leaves no way up and no absolute path.
	size := 0
	for path, data := range b.Files {
		if !fs.ValidPath(path) || len(path) > 1024 {
			return fmt.Errorf("%q is not a path within a bundle", path)
		}
		size += len(data)
	}
	if size > MaxBundle {
		return fmt.Errorf("the bundle has %d bytes, and may have %d", size, MaxBundle)
	}
	return nil
}

// FS gives the files for compiler.Source.FS. Nothing outside of them can be reached through it. A zip in memory, stored and not packed, is the
// standard library's ready-made read-only file system, folders included; it costs a second copy of the bundle.
func (b Bundle) FS() (fs.FS, error) {
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, path := range slices.Sorted(maps.Keys(b.Files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Store})
		if err == nil {
			_, err = f.Write(b.Files[path])
		}
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
}

// ReadFile gives one file: for dialect.Deps.ReadFile, so that inputs are uploaded from the bundle.
func (b Bundle) ReadFile(path string) ([]byte, error) {
	data, ok := b.Files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return data, nil
}

// save stores the files, each distinct content once for all batches.
func (b Bundle) save(ctx context.Context, tx pgx.Tx, batch string) error {
	// Both rows of a file go in the transaction of the submit: a batch is seen with all of its files or not at all. By sorted hashes, so that two
	// submits of the same contents insert the blobs in the same order, whatever their paths, and do not wait for each other in a circle.
	sums := map[string][sha256.Size]byte{}
	for path, data := range b.Files {
		sums[path] = sha256.Sum256(data)
	}
	out := &pgx.Batch{}
	// Until the commit: a content that is there and belongs to no batch must stay until this one's row names it.
	out.Queue("SELECT pg_advisory_xact_lock_shared($1)", blobsLock)
	for _, path := range slices.SortedFunc(maps.Keys(sums), func(p, q string) int {
		a, b := sums[p], sums[q]
		return cmp.Or(bytes.Compare(a[:], b[:]), cmp.Compare(p, q))
	}) {
		data, sum := b.Files[path], sums[path]
		out.Queue("INSERT INTO blobs (hash, data) VALUES ($1, $2) ON CONFLICT DO NOTHING", sum[:], notNil(data))
		out.Queue("INSERT INTO files (batch, path, hash) VALUES ($1, $2, $3)", batch, path, sum[:])
	}
	return tx.SendBatch(ctx, out).Close()
}

// notNil makes an empty file of one without content: nil would be stored as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Bundle gives the files of a batch, ErrNoBatch if there is none. Contents are checked against their hashes, and the bounds hold here as well: the
// database may have been written by another version.
func (q *Queue) Bundle(ctx context.Context, id string) (Bundle, error) {
	b := Bundle{Files: map[string][]byte{}}
	settings, err := q.settings(ctx, id)
	if err != nil {
		return b, err
	}
	b.File = settings.File
	rows, err := q.db.Pool.Query(ctx, "SELECT path, hash, data FROM files JOIN blobs USING (hash) WHERE batch = $1", id)
	if err != nil {
		return b, err
	}
	var path string
	var hash, data []byte
	_, err = pgx.ForEachRow(rows, []any{&path, &hash, &data}, func() error {
		if sum := sha256.Sum256(data); !bytes.Equal(sum[:], hash) {
			return fmt.Errorf("the file %s of batch %s is damaged in the database", path, id)
		}
		// data's memory is used again for the next row.
		b.Files[path] = bytes.Clone(data)
		return nil
	})
	if err == nil {
		err = b.check()
	}
	return b, err
}
