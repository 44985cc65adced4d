package keys

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Cookie is the name of the session's cookie.
const Cookie = "comfyc_session"

// SessionTime is how long a session lasts.
const SessionTime = 12 * time.Hour

// Login makes the cookie's value of a new session.
// Nothing is stored: the value is KEY.END.NONCE.SIGNATURE, END in Unix seconds.
func (r *Ring) Login(k *Key) string {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	body := k.ID + "." + strconv.FormatInt(r.now().Add(SessionTime).Unix(), 10) + "." + base64.RawURLEncoding.EncodeToString(nonce)
	return body + "." + r.sign("session", body)
}

// Session gives the key and the CSRF token of a cookie; nil if it is not, or no longer, good.
// The signature is checked first, so nothing else of a forged cookie is read. A revoked key gives nil.
func (r *Ring) Session(ctx context.Context, cookie string) (k *Key, csrf string) {
	i := strings.LastIndexByte(cookie, '.')
	if i < 0 || len(cookie) > maxText {
		return nil, ""
	}
	body := cookie[:i]
	if !hmac.Equal([]byte(cookie[i+1:]), []byte(r.sign("session", body))) {
		return nil, ""
	}
	parts := strings.Split(body, ".")
	if len(parts) != 3 {
		return nil, ""
	}
	end, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || r.now().Unix() >= end {
		return nil, ""
	}
	r.current(ctx)
	return r.ByID(parts[0]), r.sign("csrf", body)
}

// SameCSRF compares a header with a session's token.
func SameCSRF(header, token string) bool { return hmac.Equal([]byte(header), []byte(token)) }

// sign gives the signature of a text for one purpose.
// The purpose keeps a session's signature from passing as its CSRF token.
func (r *Ring) sign(purpose, text string) string {
	h := hmac.New(sha256.New, r.secret)
	h.Write([]byte(purpose + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// WebhookSecret is the key by which webhooks of an owner are signed; the owner is told it as `whsec_…`.
func (r *Ring) WebhookSecret(owner string) []byte {
	h := hmac.New(sha256.New, r.secret)
	h.Write([]byte("webhook\x00" + owner))
	return h.Sum(nil)
}
