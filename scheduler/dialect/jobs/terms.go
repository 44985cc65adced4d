// What stands beside `input` in a job's body. For example, with a webhook, a time-out of 90 s and a bucket, on RunPod:
//
//	{"input": {…}, "webhook": "https://…", "policy": {"executionTimeout": 90000}, "s3Config": {"accessId": "…", …}}

package jobs

import (
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler"
)

// Bounds of the times that a job may be told, by RunPod's documentation.
const (
	minExecution = 5 * time.Second
	minTTL       = 10 * time.Second
	maxTerm      = 7 * 24 * time.Hour
)

// Bucket is where a platform's worker is told to put outputs. It holds secrets: it is neither printed nor kept beyond the endpoint.
type Bucket struct{ URL, Name, Key, Secret string }

// siblings writes what stands beside `input` in a job's body, each with a comma before it; nothing where the platform takes nothing.
func (e *Endpoint) siblings(t scheduler.Terms) []byte {
	var b []byte
	t = own(t, e.properties.Terms)
	if e.api.Webhooks && t.Webhook != "" {
		b = source.AppendQuoted(append(b, `,"webhook":`...), t.Webhook)
	}
	if e.api.Policies {
		b = appendPolicy(b, t)
	}
	if to := e.bucket; e.api.Policies && to != nil {
		b = source.AppendQuoted(append(b, `,"s3Config":{"accessId":`...), to.Key)
		b = source.AppendQuoted(append(b, `,"accessSecret":`...), to.Secret)
		b = source.AppendQuoted(append(b, `,"bucketName":`...), to.Name)
		b = append(source.AppendQuoted(append(b, `,"endpointUrl":`...), to.URL), '}')
	}
	return b
}

// own puts the user's own terms in place of the loop's. Low priority can only be added: false in a configuration is the same as not said.
func own(t scheduler.Terms, of compiler.JobTerms) scheduler.Terms {
	if of.Execution > 0 {
		t.Execution = of.Execution
	}
	if of.TTL > 0 {
		t.TTL = of.TTL
	}
	t.LowPriority = t.LowPriority || of.LowPriority
	return t
}

// appendPolicy writes times in milliseconds. What is not asked for is left to the platform.
func appendPolicy(b []byte, t scheduler.Terms) []byte {
	var parts []string
	if t.Execution > 0 {
		parts = append(parts, `"executionTimeout":`+millis(min(max(t.Execution, minExecution), maxTerm)))
	}
	if t.TTL > 0 {
		parts = append(parts, `"ttl":`+millis(min(max(t.TTL, minTTL), maxTerm)))
	}
	if t.LowPriority {
		parts = append(parts, `"lowPriority":true`)
	}
	if len(parts) == 0 {
		return b
	}
	return append(append(append(b, `,"policy":{`...), strings.Join(parts, ",")...), '}')
}

// millis rounds up, so that no time becomes shorter than was asked for.
func millis(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}

// hidden takes an attempt's token out of an error: a remote may send the webhook's address back in its text.
func hidden(err error, t scheduler.Terms) error {
	failed, ok := err.(*scheduler.Error)
	if !ok || t.Token == "" {
		return err
	}
	failed.Message = strings.ReplaceAll(failed.Message, t.Token, "[redacted]")
	return failed
}
