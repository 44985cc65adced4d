// Package seal keeps secrets that clients send with their jobs: AES-256-GCM under a key that is made of COMFYC_STATE_KEY. What is sealed is
// bound to a context (the id of its work), so that a sealed text cannot be moved to another row. Without a key nothing can be sealed, and
// jobs with secrets are refused.
//
// A Box never changes and may be used from many goroutines. A fresh random nonce per text is safe for 2^32 texts of one key.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Variable is the name of the environment variable that holds the key.
const Variable = "COMFYC_STATE_KEY"

// MinKey is the least number of characters of the key.
// A key of 32 characters of base64 has 192 bits.
const MinKey = 32

// Box seals and opens. The nil Box has no key.
type Box struct{ aead cipher.AEAD }

// ErrNoKey says that there is no key to seal with.
var ErrNoKey = errors.New("this request holds a secret, and the server has no " + Variable + " to seal it with")

// New makes a Box; text "" gives the nil Box.
// An error is a key that is too short to be safe, which ends the start of the service.
func New(text string) (*Box, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) < MinKey {
		return nil, fmt.Errorf("%s has fewer than %d characters; make one with: openssl rand -base64 32", Variable, MinKey)
	}
	key := sha256.Sum256([]byte("comfyc state key 1\x00" + text)) // any text becomes 256 bits; the prefix keeps other uses of it apart
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Box{aead}, err
}

// Seal encrypts a secret. ErrNoKey if the Box is nil.
// The nonce stands in front of what it gives, which is 28 bytes longer than the secret.
func (b *Box) Seal(secret []byte, context string) ([]byte, error) {
	if b == nil {
		return nil, ErrNoKey
	}
	nonce := make([]byte, b.aead.NonceSize())
	rand.Read(nonce) // never fails
	return b.aead.Seal(nonce, nonce, secret, []byte(context)), nil
}

// Open decrypts what Seal gave for the same context.
// The errors do not tell a wrong key from a changed text: neither opens.
func (b *Box) Open(sealed []byte, context string) ([]byte, error) {
	if b == nil {
		return nil, ErrNoKey
	}
	n := b.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("a sealed text is too short")
	}
	out, err := b.aead.Open(nil, sealed[:n], sealed[n:], []byte(context))
	if err != nil {
		return nil, fmt.Errorf("a secret cannot be opened: %s is another one than when it was sealed", Variable)
	}
	return out, nil
}
