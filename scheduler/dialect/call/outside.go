package call

import (
	"net/http"
	"net/url"
)

// Outside makes a transport for URLs that came from outside and belong to no endpoint: webhooks, inputs by URL, a client's bucket. It is
// the guard of outputs: private addresses are refused after the name was resolved, at each redirect too, but for allowed hosts ("name" or
// "name:port"). The error of a refusal wraps a *PrivateError.
func Outside(allowHosts []string) http.RoundTripper { return newGuard(&url.URL{}, nil, allowHosts) }
