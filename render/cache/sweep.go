package cache

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"time"
)

// Listed is an entry in a list.
type Listed struct {
	Key Key
	Entry
	Used time.Time // when it was stored, or reused last
}

// List gives the entries, in any order. Those that cannot be read are left out, and removed.
func (c *Cache) List(ctx context.Context) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		for b, err := range c.blobs.List(ctx, entriesPrefix) {
			if err != nil {
				yield(Listed{}, err)
				return
			}
			key, ok := keyOfName(b.Name)
			if !ok {
				continue
			}
			e, err := c.Get(ctx, key)
			if errors.Is(err, ErrMissing) {
				continue
			}
			if !yield(Listed{key, e, b.Time}, err) || err != nil {
				return
			}
		}
	}
}

// SweepOptions say what is to go. The zero value removes only what no entry names.
type SweepOptions struct {
	// MaxBytes is what all files may take together; what was used longest ago goes first. 0 is no limit; to empty the cache give 1.
	MaxBytes int64
	// UnusedFor removes entries that were not used for so long; 0 removes none.
	UnusedFor time.Duration
	// DryRun removes nothing.
	DryRun bool
}

// Swept is what a sweep did, or would do. Bytes are those of files; what a file shares with a run directory is not free by its removal.
type Swept struct {
	Entries, Files         int // removed
	Bytes                  int64
	KeptEntries, KeptFiles int
	KeptBytes              int64
}

// grace is how young a file is that may belong to an entry which is about to be written.
const grace = time.Hour

// Sweep removes entries as the options say, then the files that no entry names. Other processes may use the cache meanwhile: what they look for
// and do not find any more they render again.
func (c *Cache) Sweep(ctx context.Context, opts SweepOptions) (s Swept, err error) {
	entries, err := c.byUse(ctx)
	if err != nil {
		return s, err
	}
	now := time.Now()
	kept, gone := choose(entries, opts, now, &s)
	for _, e := range gone {
		s.Entries++
		if err := c.unlessDry(ctx, opts, entryName(e.Key)); err != nil {
			return s, err
		}
	}
	// Files are shared between entries, so an entry that stays must have the last word: those that go are written first.
	files := map[string]bool{} // false: of an entry that goes
	for _, e := range gone {
		for _, f := range e.Files {
			files[f.SHA256] = false
		}
	}
	for _, e := range kept {
		for _, f := range e.Files {
			files[f.SHA256] = true
		}
	}
	err = c.sweepFiles(ctx, opts, files, now, &s)
	return s, err
}

// choose parts the entries, the one that was used last first, into those that stay and those that go. One that does not fit ends what stays, so that
// nothing older stays in its place. Files that entries share count once.
func choose(entries []Listed, opts SweepOptions, now time.Time, s *Swept) (kept, gone []Listed) {
	counted := map[string]bool{}
	for i, e := range entries {
		more := int64(0)
		for _, f := range e.Files {
			if !counted[f.SHA256] {
				counted[f.SHA256] = true
				more += f.Bytes
			}
		}
		if opts.MaxBytes > 0 && s.KeptBytes+more > opts.MaxBytes || opts.UnusedFor > 0 && now.Sub(e.Used) > opts.UnusedFor {
			return entries[:i], entries[i:]
		}
		s.KeptEntries++
		s.KeptBytes += more
	}
	return entries, nil
}

// byUse lists the entries, the one that was used last before the others.
func (c *Cache) byUse(ctx context.Context) (entries []Listed, err error) {
	for e, err := range c.List(ctx) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Listed) int {
		return cmp.Or(b.Used.Compare(a.Used), slices.Compare(a.Key[:], b.Key[:]))
	})
	return entries, nil
}

// unlessDry removes an object, or counts only.
func (c *Cache) unlessDry(ctx context.Context, opts SweepOptions, name string) error {
	if opts.DryRun {
		return nil
	}
	return c.blobs.Delete(ctx, name)
}

// sweepFiles removes the files that are not of an entry that stays: those of entries that are gone now, unless somebody puts them anew meanwhile, and
// those that no entry has named for a while.
func (c *Cache) sweepFiles(ctx context.Context, opts SweepOptions, files map[string]bool, now time.Time, s *Swept) error {
	for b, err := range c.blobs.List(ctx, filesPrefix) {
		if err != nil {
			return err
		}
		hash, ok := hashOfName(b.Name)
		kept, named := files[hash]
		switch {
		case !ok:
			continue
		// Kept: files of entries that stay; those of entries that go but were put again since the sweep began; and young
		// ones that no entry names yet.
		case kept, named && b.Time.After(now), !named && now.Sub(b.Time) < grace:
			s.KeptFiles++
			continue
		}
		s.Files++
		s.Bytes += b.Size
		if err := c.unlessDry(ctx, opts, b.Name); err != nil {
			return err
		}
	}
	return nil
}

// Verified is what Verify found.
type Verified struct {
	Entries, Files int // looked at
	Bytes          int64
	Damaged        []string // names of objects that were removed
}

// Verify reads everything and removes what is damaged: files whose content is not what their name says, and entries that name such files or
// ones that are not there.
func (c *Cache) Verify(ctx context.Context) (v Verified, err error) {
	// The sizes in bytes of the files whose content is what their name says.
	whole := map[string]int64{}
	for b, err := range c.blobs.List(ctx, filesPrefix) {
		if err != nil {
			return v, err
		}
		hash, ok := hashOfName(b.Name)
		if !ok {
			continue
		}
		v.Files++
		v.Bytes += b.Size
		switch r, err := c.Open(ctx, File{SHA256: hash, Bytes: b.Size}); {
		case err == nil:
			r.Close()
			whole[hash] = b.Size
		case errors.Is(err, ErrMissing):
			v.Damaged = append(v.Damaged, b.Name)
		default:
			return v, err
		}
	}
	err = c.verifyEntries(ctx, whole, &v)
	slices.Sort(v.Damaged)
	return v, err
}

// verifyEntries drops the entries that name a file which is not among whole.
func (c *Cache) verifyEntries(ctx context.Context, whole map[string]int64, v *Verified) error {
	for b, err := range c.blobs.List(ctx, entriesPrefix) {
		if err != nil {
			return err
		}
		key, ok := keyOfName(b.Name)
		if !ok {
			continue
		}
		v.Entries++
		e, err := c.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
		damaged := err != nil
		for _, f := range e.Files {
			damaged = damaged || c.lacks(ctx, whole, f)
		}
		if damaged {
			v.Damaged = append(v.Damaged, b.Name)
			if err := c.Drop(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// lacks tells whether a file is not there whole. One that was not there when the files were read may have come since.
func (c *Cache) lacks(ctx context.Context, whole map[string]int64, f File) bool {
	if size, ok := whole[f.SHA256]; ok {
		return size != f.Bytes
	}
	r, err := c.Open(ctx, f)
	if err != nil {
		return true
	}
	r.Close()
	return false
}

// Trim brings a cache within a size if it is above it, and then to nine tenths of it, so that it is not needed after every batch.
func (c *Cache) Trim(ctx context.Context, maxBytes int64) error {
	var sum int64
	for b, err := range c.blobs.List(ctx, filesPrefix) {
		if err != nil {
			return err
		}
		sum += b.Size
	}
	if sum <= maxBytes {
		return nil
	}
	_, err := c.Sweep(ctx, SweepOptions{MaxBytes: max(1, maxBytes/10*9)})
	return err
}
