package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
)

// Cache is a store of finished renders. See the package's documentation.
type Cache struct{ blobs Blobs }

// New opens a cache. Nothing is read or written yet.
func New(blobs Blobs) *Cache { return &Cache{blobs} }

// String says where the cache lies.
func (c *Cache) String() string { return c.blobs.String() }

// ErrMissing says that a render or a file is not in the cache, or was damaged and is there no more.
var ErrMissing = errors.New("it is not in the cache")

// Put makes an entry. Its files must have been put before. An entry that is there already is replaced.
func (c *Cache) Put(ctx context.Context, key Key, e Entry) error {
	e.Version, e.Key = entryVersion, key.String()
	data, err := json.Marshal(&e)
	if err != nil {
		return err
	}
	if len(data) > maxEntryBytes {
		return fmt.Errorf("this cannot be an entry of a cache: it has %d bytes, at most %d are allowed", len(data), maxEntryBytes)
	}
	if _, err := parseEntry(key, data); err != nil {
		return fmt.Errorf("this cannot be an entry of a cache: %w", err)
	}
	return c.blobs.Put(ctx, entryName(key), data)
}

// PutFile keeps a file of this machine under its hash. A copy that is there already is written anew: it becomes young again, and whole if it
// was damaged.
func (c *Cache) PutFile(ctx context.Context, path, sha256 string, size int64) error {
	if !isHash(sha256) {
		return fmt.Errorf("%q is no SHA-256", sha256)
	}
	return c.blobs.PutFile(ctx, fileName(sha256), path, size)
}

// Get gives the entry of a key, ErrMissing if there is none. One that cannot be read is removed.
func (c *Cache) Get(ctx context.Context, key Key) (Entry, error) {
	r, err := c.blobs.Open(ctx, entryName(key))
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, ErrMissing
	} else if err != nil {
		return Entry{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxEntryBytes+1))
	if err != nil {
		return Entry{}, err
	}
	e, err := parseEntry(key, data)
	if err != nil || len(data) > maxEntryBytes {
		_ = c.Drop(ctx, key)
		return e, ErrMissing
	}
	return e, nil
}

// Drop removes the entry of a key. Its files stay until they are swept.
func (c *Cache) Drop(ctx context.Context, key Key) error { return c.blobs.Delete(ctx, entryName(key)) }

// Used notes that a render was used, so that it is removed later than others.
func (c *Cache) Used(ctx context.Context, key Key) { c.blobs.Touch(ctx, entryName(key)) }

// fewKeys is how many keys are asked for one by one; of more, the whole cache is listed.
// Asking costs a stat or a request to the bucket for each; a list gives up to a thousand names with one request.
const fewKeys = 64

// Known tells for each key whether there is an entry. Its files may still turn out to be damaged.
func (c *Cache) Known(ctx context.Context, keys []Key) ([]bool, error) {
	out := make([]bool, len(keys))
	if len(keys) <= fewKeys {
		for i, k := range keys {
			_, ok, err := c.blobs.Has(ctx, entryName(k))
			if err != nil {
				return nil, err
			}
			out[i] = ok
		}
		return out, nil
	}
	at := make(map[Key][]int, len(keys))
	for i, k := range keys {
		at[k] = append(at[k], i)
	}
	for b, err := range c.blobs.List(ctx, entriesPrefix) {
		if err != nil {
			return nil, err
		}
		if k, ok := keyOfName(b.Name); ok {
			for _, i := range at[k] {
				out[i] = true
			}
		}
	}
	return out, nil
}

// Open opens a file that was checked to be whole: its content is read and hashed before. The error is ErrMissing if it is not there, or was
// damaged; then it is removed.
func (c *Cache) Open(ctx context.Context, f File) (io.ReadCloser, error) {
	r, err := c.blobs.Open(ctx, fileName(f.SHA256))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	} else if err != nil {
		return nil, err
	}
	// A folder gives the file itself. What a bucket gives is copied to a temporary file while it is hashed: content that
	// turns out to be damaged must not have been handed on by then.
	file, isFile := r.(*os.File)
	if !isFile {
		if file, err = os.CreateTemp("", "comfyc-cached-*"); err != nil {
			r.Close()
			return nil, err
		}
		defer r.Close()
	}
	ok, err := c.check(ctx, r, file, f)
	if err == nil && ok {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil || !ok {
		return nil, c.refuse(ctx, file, !isFile, f, err)
	}
	if isFile {
		return file, nil
	}
	return temporary{file}, nil
}

// check hashes what r gives, and copies it to file if that is another.
func (c *Cache) check(ctx context.Context, r io.Reader, file *os.File, f File) (ok bool, err error) {
	sum := sha256.New()
	to := io.Writer(sum)
	if r != io.Reader(file) {
		to = io.MultiWriter(sum, file)
	}
	n, err := io.Copy(to, io.LimitReader(reader{ctx, r}, f.Bytes+1)) // one byte more, to notice a longer file
	return err == nil && n == f.Bytes && matches(sum, f.SHA256), err
}

// matches compares a finished hash with one in lower-case hex.
func matches(sum hash.Hash, want string) bool { return hex.EncodeToString(sum.Sum(nil)) == want }

// refuse closes a file that could not be read, or is not what its name says; the latter is removed from the cache.
func (c *Cache) refuse(ctx context.Context, file *os.File, temp bool, f File, err error) error {
	file.Close()
	if temp {
		os.Remove(file.Name())
	}
	if err != nil {
		return err
	}
	if err := c.blobs.Delete(ctx, fileName(f.SHA256)); err != nil {
		return err
	}
	return ErrMissing
}

// temporary is a file that is removed when it is closed.
type temporary struct{ *os.File }

func (t temporary) Close() error {
	err := t.File.Close()
	return errors.Join(err, os.Remove(t.Name()))
}
