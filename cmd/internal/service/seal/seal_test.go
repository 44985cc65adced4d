package seal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	b, err := New(strings.Repeat("k", MinKey))
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("s3-secret")
	sealed, err := b.Seal(secret, "work-1")
	if err != nil || bytes.Contains(sealed, secret) {
		t.Fatalf("sealed %q, %v", sealed, err)
	}
	if out, err := b.Open(sealed, "work-1"); err != nil || string(out) != "s3-secret" {
		t.Errorf("opened %q, %v", out, err)
	}
	if _, err := b.Open(sealed, "work-2"); err == nil {
		t.Error("opened for another work")
	}
	other, _ := New(strings.Repeat("x", MinKey))
	if _, err := other.Open(sealed, "work-1"); err == nil {
		t.Error("opened with another key")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := b.Open(bad, "work-1"); err == nil {
			t.Fatalf("byte %d was changed and nobody noticed", i)
		}
	}
	again, _ := b.Seal(secret, "work-1")
	if bytes.Equal(again, sealed) {
		t.Error("two sealed texts are equal")
	}
}

func TestWithoutAKey(t *testing.T) {
	b, err := New("")
	if err != nil || b != nil {
		t.Fatal(b, err)
	}
	if _, err := b.Seal([]byte("x"), ""); !errors.Is(err, ErrNoKey) {
		t.Errorf("sealed without a key: %v", err)
	}
	if _, err := New("short"); err == nil {
		t.Error("a short key was taken")
	}
}
