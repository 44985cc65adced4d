package emulator

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
)

// store is a bucket: what is PUT with a signature can be fetched with one.
type store map[string][]byte

func (s store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == "PUT" && strings.Contains(r.Header.Get("Authorization"), "Credential=ID/") && strings.HasPrefix(r.URL.Path, "/out/"):
		s[r.URL.Path], _ = io.ReadAll(r.Body)
	case r.Method == "GET" && strings.HasPrefix(r.URL.Query().Get("X-Amz-Credential"), "ID/") && r.URL.Query().Get("X-Amz-Signature") != "" && s[r.URL.Path] != nil:
		w.Write(s[r.URL.Path])
	default:
		http.Error(w, "<Error><Code>SignatureDoesNotMatch</Code></Error>", http.StatusForbidden)
	}
}

func s3Config(id, secret, url string) string {
	return `"s3Config":{"accessId":"` + id + `","accessSecret":"` + secret + `","bucketName":"out","endpointUrl":"` + url + `"}`
}

// TestJobBucket: a worker that heeds the job's bucket puts the images there, and the job says where.
func TestJobBucket(t *testing.T) {
	files := store{}
	s3 := httptest.NewServer(files)
	defer s3.Close()
	for name, c := range map[string]struct {
		webhooks bool
		sibling  string
		kind     string // of the image, "" for a job that fails
		prefix   string // of its data
	}{
		"without one":   {true, ``, "base64", ""},
		"with gaps":     {true, `,"s3Config":{"accessId":"ID"}`, "base64", ""},
		"elsewhere":     {true, "," + s3Config("ID", "SECRET", s3.URL), "s3_url", s3.URL + "/out/"},
		"wrong key":     {true, "," + s3Config("OTHER", "SECRET", s3.URL), "", ""},
		"in the memory": {false, "," + s3Config("ID", "SECRET", "https://s3.example"), "s3_url", "http://emulator.test/files/"},
	} {
		e := start(t, Config{Webhooks: c.webhooks, Endpoints: []Endpoint{{Name: "ep", Outputs: JobBucket}}})
		r := direct1(t, e).do("POST", "/v2/ep/runsync", `{"input":`+input(1, "a")+c.sibling+`}`)
		v := r.value(t)
		image := v.Get("output").Get("images").Index(0)
		if c.kind == "" {
			if v.Get("status").Str() != "FAILED" || !strings.Contains(r.text, "PutObject") || strings.Contains(r.text, "SECRET") {
				t.Errorf("%s: %s", name, r.text)
			}
			continue
		}
		if image.Get("type").Str() != c.kind || !strings.HasPrefix(image.Get("data").Str(), c.prefix) {
			t.Errorf("%s: %s", name, clip(r.text))
		}
		if c.kind == "s3_url" && c.webhooks {
			checkImage(t, image.Get("data").Str())
		}
	}
}

func checkImage(t *testing.T, address string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(data), "\x89PNG") {
		t.Errorf("GET %s: %d %s, %v", address, resp.StatusCode, clip(string(data)), err)
	}
}

// TestJobBucketReal uploads to an S3 server that verifies signatures, if one is installed.
func TestJobBucketReal(t *testing.T) {
	server := s3test.Start(t, []string{"out"})
	e := start(t, Config{Webhooks: true, Endpoints: []Endpoint{{Name: "ep", Outputs: JobBucket}}})
	r := direct1(t, e).do("POST", "/v2/ep/runsync", `{"input":`+input(1, "a")+","+s3Config(s3test.Key, s3test.Secret, "http://"+server.Address)+`}`)
	image := r.value(t).Get("output").Get("images").Index(0)
	if image.Get("type").Str() != "s3_url" {
		t.Fatal(r.text)
	}
	checkImage(t, image.Get("data").Str())
}

// TestRange: a download that broke off goes on where it was, for the same file only.
func TestRange(t *testing.T) {
	e := start(t, Config{Endpoints: []Endpoint{{Name: "ep", Outputs: URL}}})
	c := direct1(t, e)
	r := c.do("POST", "/v2/ep/runsync", `{"input":`+input(1, "a")+`}`)
	address := r.value(t).Get("output").Get("images").Index(0).Get("data").Str()
	whole := c.do("GET", strings.TrimPrefix(address, c.base), "")
	tag := whole.header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	for name, q := range map[string]struct {
		ask, match string
		status     int
		from       int
	}{
		"a rest":       {"bytes=10-", "", 206, 10},
		"of this file": {"bytes=10-", tag, 206, 10},
		"of another":   {"bytes=10-", `"x"`, 200, 0},
		"beyond":       {"bytes=99999999-", "", 416, len(whole.text)},
		"odd":          {"lines=1-2", "", 200, 0},
	} {
		req, err := http.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", q.ask)
		if q.match != "" {
			req.Header.Set("If-Range", q.match)
		}
		if got := c.send(req); got.status != q.status || got.text != whole.text[q.from:] {
			t.Errorf("%s: %d with %d bytes of %d", name, got.status, len(got.text), len(whole.text))
		}
	}
}

// TestCancelRate: RunPod takes 100 cancels in 10 s.
func TestCancelRate(t *testing.T) {
	timed(t, Endpoint{Worker: "echo", Dialects: []Dialect{RunPod}}, func(t *testing.T, e *Emulator, c *client) {
		codes := map[int]int{}
		for range 101 {
			codes[c.do("POST", "/v2/ep/cancel/x", "").status]++
		}
		if codes[404] != 100 || codes[429] != 1 {
			t.Errorf("%v", codes)
		}
	})
}

// TestResetAfter: the connection breaks when the job is taken, or before, as the fault says.
func TestResetAfter(t *testing.T) {
	for after, want := range map[bool]int{false: 0, true: 1} {
		e := start(t, Config{Endpoints: []Endpoint{{Name: "ep", Worker: "echo", Faults: []Fault{{Kind: Reset, On: Submit, Rate: 1, After: after}}}}})
		r := direct1(t, e).do("POST", "/v2/ep/run", `{"input":1}`)
		if n := e.Stats().Endpoint("ep").Accepted; r.err == nil || n != want {
			t.Errorf("after %v: %d jobs, %v", after, n, r.err)
		}
	}
}
