// Package web is the plumbing between fasthttp and the service's faces: routes, who is asking, what a browser may do, bounds, problems,
// compression, files, logs and metrics.
//
// A face is a list of [Route]; [Site] serves them. Each request goes through the same gates, in this order: its host and origin (a web page
// must not be able to drive a local service), its key or cookie, the key's rate, its media type and size. A handler gets a [Call], which
// must not be kept after it has returned, and [Call.Body], which may.
//
// Bounds: 32 KiB of header, [Site.MaxBody] of body (64 KiB before the key is known to be good), 15 s for a header, 5 min for a body. Bodies are
// not decompressed. A panic of a handler is a 500 of its own and is logged with its request's id.
package web
