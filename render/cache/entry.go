package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// Key names a render together with who made it: what may stand in for what.
type Key [32]byte

// String prints the key as hex.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// KeyOf makes the key of a render. worker says who makes it, see [Worker]; models lists what is known of the models that it loads there, see
// [Models]. Equal arguments give equal keys on every machine.
func KeyOf(id compiler.RenderID, worker string, models []string) Key {
	// Each part with its length before it, so that no two lists of parts run together into one text.
	h := sha256.New()
	for _, s := range append([]string{"comfyc cache 1", string(id[:]), worker}, models...) {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return Key(h.Sum(nil))
}

const (
	entryVersion  = 1       // of the JSON; entries of another version are removed as unreadable
	maxEntryBytes = 1 << 20 // of the JSON
	maxEntryFiles = 4096    // a render's outputs; a batch of images is one output with many files
)

// Entry is what is known of a finished render.
type Entry struct {
	Version  int      `json:"version"`
	Key      string   `json:"key"`    // hex
	Render   string   `json:"render"` // its id in hex
	Worker   string   `json:"worker"` // see Worker
	Models   []string `json:"models,omitempty"`
	Batch    string   `json:"batch,omitempty"` // name of the batch it was rendered for
	Endpoint string   `json:"endpoint"`        // name as that batch's owner configured it
	GPU      string   `json:"gpu,omitempty"`
	// Seconds is the time that was paid for, CostUSD an estimate of what it cost, nil if the price was unknown.
	Seconds  float64   `json:"seconds,omitempty"`
	CostUSD  *float64  `json:"cost_usd,omitempty"`
	Rendered time.Time `json:"rendered"` // when the remote had finished
	Files    []File    `json:"files"`
}

// File is one output as it came.
type File struct {
	// Output names the output node by what it computes, in hex: ids differ between workflows that render the same. Twin tells apart output nodes
	// that compute the same, from 0 in the order of the graph. Batch is the file's place among those of its output, from 0.
	Output string `json:"output"`
	Twin   int    `json:"twin,omitempty"`
	Batch  int    `json:"batch,omitempty"`
	Ext    string `json:"ext"`  // with its dot
	Type   string `json:"type"` // media type by content
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// Size sums up the entry's files, in bytes.
func (e *Entry) Size() (n int64) {
	for _, f := range e.Files {
		n += f.Bytes
	}
	return n
}

// parseEntry reads an entry and holds that it is the one of a key and can be used.
func parseEntry(key Key, data []byte) (Entry, error) {
	var e Entry
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&e); err != nil {
		return e, err
	}
	switch {
	case e.Version != entryVersion:
		return e, fmt.Errorf("version %d, only %d is known", e.Version, entryVersion)
	case e.Key != key.String():
		return e, errors.New("it is the entry of another key")
	case len(e.Files) == 0 || len(e.Files) > maxEntryFiles:
		return e, fmt.Errorf("%d files", len(e.Files))
	}
	for _, f := range e.Files {
		if !isHash(f.SHA256) || f.Bytes <= 0 || f.Twin < 0 || f.Batch < 0 || strings.ContainsAny(f.Ext, `/\`) {
			return e, errors.New("a file in it cannot be")
		}
	}
	return e, nil
}

// isHash tells whether s is a SHA-256 in lower-case hex.
func isHash(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// Names of objects. Both kinds lie in folders named by the first two hex digits, so that none of 256 holds too many.
const (
	entriesPrefix = "renders/"
	filesPrefix   = "files/"
)

// entryName is "renders/ab/ab….json" for a key that begins with ab.
func entryName(k Key) string {
	s := k.String()
	return entriesPrefix + s[:2] + "/" + s + ".json"
}

// fileName is "files/cd/cd…" for a hash that begins with cd.
func fileName(hash string) string { return filesPrefix + hash[:2] + "/" + hash }

// keyOfName reads the key from the name of an entry; ok is false for anything else that lies there.
func keyOfName(name string) (k Key, ok bool) {
	s, ok := strings.CutSuffix(name, ".json")
	if !ok || len(s) < 64 {
		return k, false
	}
	b, err := hex.DecodeString(s[len(s)-64:])
	if err != nil || copy(k[:], b) != len(k) || entryName(k) != name {
		return k, false
	}
	return k, true
}

// hashOfName reads the hash from the name of a file's object.
func hashOfName(name string) (hash string, ok bool) {
	if len(name) < 64 {
		return "", false
	}
	hash = name[len(name)-64:]
	return hash, isHash(hash) && fileName(hash) == name
}
