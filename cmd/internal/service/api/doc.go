// Package api is the service's own face, under /api/v1: batches are submitted, watched, cancelled, tried again and looked at; workflows are
// checked and converted; browsers log in. docs/service.md explains it, and openapi.json describes it, which a test holds against [API.Routes].
//
// A key sees its own batches, one with the scope admin sees all; what belongs to somebody else is not there (404). Handlers keep nothing
// between requests.
package api
