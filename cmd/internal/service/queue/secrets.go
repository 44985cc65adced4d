package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/outgoing"
	"github.com/comfyc/comfyc/cmd/internal/webhook"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// Secrets are what a client sent that must not be stored in the clear, logged, or shown.
// A value lives in memory only while it is needed; in the ledger it is one sealed blob.
type Secrets struct {
	ComfyOrgKey string  `json:"comfy_org_api_key,omitempty"` // of comfy.org, for nodes that call paid APIs
	Webhook     string  `json:"webhook,omitempty"`           // address; sealed since it may hold a token
	Bucket      *Bucket `json:"s3,omitempty"`                // nil: outputs stay with the service
	Body        []byte  `json:"body,omitempty"`              // of a batch that holds a secret
}

// Bucket is where a client wants its outputs: RunPod's s3Config.
// Names are those of the RunPod API.
type Bucket struct {
	AccessID string `json:"accessId"` // access key id
	Secret   string `json:"accessSecret"`
	Name     string `json:"bucketName"`  // bucket
	Endpoint string `json:"endpointUrl"` // http or https
}

// Seal makes secrets fit for a row: sealed, or as they are if there is only an address without a token in it and the server has no key.
// seal.ErrNoKey if they cannot be kept.
// The work's id goes into the seal, so that a blob copied to another row does not open. Addresses are checked for their form
// here, and for private hosts when they are called.
func (q *Queue) Seal(id string, s Secrets) ([]byte, error) {
	if s.ComfyOrgKey == "" && s.Webhook == "" && s.Bucket == nil && s.Body == nil {
		return nil, nil
	}
	if s.Webhook != "" {
		if _, err := webhook.CheckURL(s.Webhook); err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
	}
	if s.Bucket != nil {
		if _, err := webhook.CheckURL(s.Bucket.Endpoint); err != nil {
			return nil, fmt.Errorf("s3Config.endpointUrl: %w", err)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if q.Box == nil && s.ComfyOrgKey == "" && s.Bucket == nil && s.Body == nil {
		if u, _ := url.Parse(s.Webhook); !outgoing.Secretive(u) {
			return append([]byte{'p'}, text...), nil // nothing in it that would open anything
		}
	}
	sealed, err := q.Box.Seal(text, "work "+id)
	return append([]byte{'s'}, sealed...), err
}

// openSecrets reads what Seal wrote. The first byte says how: s for sealed, p for plain.
// An error means another COMFYC_STATE_KEY than at the submit, or a damaged row.
func (q *Queue) openSecrets(id string, sealed []byte) (s Secrets, err error) {
	if len(sealed) == 0 {
		return s, nil
	}
	text := sealed[1:]
	if sealed[0] == 's' {
		if text, err = q.Box.Open(text, "work "+id); err != nil {
			return s, err
		}
	}
	return s, json.Unmarshal(text, &s)
}

// keyed puts a client's comfy.org key into the jobs that are sent, for nodes that call paid APIs.
// It is a transport, so dialects need not know of it. Status calls and uploads pass unchanged.
type keyed struct {
	next http.RoundTripper
	key  string
}

// RoundTrip implements http.RoundTripper.
// The request is cloned, since a transport must not change the one it got; GetBody allows the client to send it again.
func (k *keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	field, name := "", ""
	switch path.Base(r.URL.Path) {
	case "run": // Novita and RunPod
		field, name = "input", "comfy_org_api_key"
	case "prompt": // native ComfyUI
		field, name = "extra_data", "api_key_comfy_org"
	}
	if r.Method != http.MethodPost || field == "" || r.Body == nil {
		return k.next.RoundTrip(r)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	if text, err = withField(text, field, name, k.key); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	return k.next.RoundTrip(r)
}

// withField sets object[field][name] in a JSON text.
// Members of the text that are not touched keep their bytes; their order becomes alphabetical.
func withField(text []byte, field, name, value string) ([]byte, error) {
	outer, inner := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &outer); err != nil {
		return nil, err
	}
	if raw := outer[field]; raw != nil {
		if err := json.Unmarshal(raw, &inner); err != nil {
			return nil, err
		}
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	inner[name] = quoted
	if outer[field], err = json.Marshal(inner); err != nil {
		return nil, err
	}
	return json.Marshal(outer)
}

// putTime bounds the upload of one output to a client's bucket; linkTime is how long its link is good.
const (
	putTime  = 5 * time.Minute    // for one output of any size
	linkTime = 7 * 24 * time.Hour // the longest that S3's signatures allow
)

// putAll puts a job's outputs into the client's bucket, through the guarded dialer.
// Errors are redacted: S3 clients put the signed address into theirs. It stops at the first output that cannot be put.
func (q *Queue) putAll(lv *live, b *Bucket, result *JobResult) error {
	u, err := webhook.CheckURL(b.Endpoint)
	if err != nil {
		return fmt.Errorf("s3Config.endpointUrl: %w", err)
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(b.AccessID, b.Secret, ""), Secure: u.Scheme == "https",
		// No lookup of the region: that would be a call more, and many stores know none.
		Transport: q.Courier.Transport(), BucketLookup: minio.BucketLookupPath, Region: "us-east-1"})
	if err != nil {
		return fmt.Errorf("s3Config: %s", call.Redact(err.Error()))
	}
	for i := range result.Files {
		f := &result.Files[i]
		if err := q.put(lv, client, b.Name, f); err != nil {
			return fmt.Errorf("put %s into the bucket: %s", f.Filename, call.Redact(err.Error()))
		}
	}
	return nil
}

// put uploads one output and makes a link to it that is good for linkTime.
// The key is JOB/FILENAME, so that jobs of one bucket cannot overwrite each other. Upload streams from disk.
func (q *Queue) put(lv *live, client *minio.Client, bucket string, f *JobFile) error {
	ctx, cancel := context.WithTimeout(lv.ctx, putTime)
	defer cancel()
	key := lv.id + "/" + f.Filename
	if err := q.Bring(ctx, lv.id, f.Path); err != nil {
		return err
	}
	if _, err := client.FPutObject(ctx, bucket, key, filepath.Join(q.OutDir(lv.id), filepath.FromSlash(f.Path)), minio.PutObjectOptions{ContentType: f.Type}); err != nil {
		return err
	}
	link, err := client.PresignedGetObject(ctx, bucket, key, linkTime, nil)
	if err == nil {
		f.URL = link.String()
	}
	return err
}

// payload is the body of a work's webhook: what its face says of it, else the message of a batch.
// Compatible faces send the platform's status object; batches and native jobs send {"type", "timestamp", "data"} as Standard
// Webhooks has it.
func (q *Queue) payload(w ledger.Work) []byte {
	if q.Payload != nil && w.Kind != ledger.Batch {
		if body := q.Payload(w); body != nil {
			return body
		}
	}
	text, err := json.Marshal(map[string]any{"type": w.Kind + "." + strings.ReplaceAll(string(w.State), "-", "_"), "timestamp": w.Finished.UTC().Format(time.RFC3339Nano),
		"data": map[string]any{"id": w.ID, "name": w.Name, "state": w.State, "error": w.Error, "result": json.RawMessage(orNull(w.Result))}})
	if err != nil {
		panic("a webhook's body cannot be written: " + err.Error())
	}
	return text
}
