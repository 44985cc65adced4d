// Package keys says who a client is and what it may do: access keys with scopes and limits, and the browser's sessions that are made from
// them.
//
// A key is 256 random bits behind an id. Only a SHA-256 of it is kept: there is nothing to guess, so a slow hash would protect nothing. It
// is compared in constant time, and an unknown id costs as much as a wrong key. Revoking takes effect within [Refresh], in every replica.
//
// While there is no key at all, the service serves loopback only, and everybody there is [Anyone]. From the first key on, every request
// needs one.
//
// A session is a cookie that names the key's id and an end, signed with a secret that the ledger keeps; nothing is stored for it, and it
// ends with its key. Each session has a CSRF token, which unsafe requests must repeat in a header.
//
// All methods may be called from many goroutines.
package keys
