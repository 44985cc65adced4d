package service

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// The id of a prompt is the client's choice. One that names a prompt that is there already, with files that are large, neither writes over that
// prompt's files nor removes them; and nobody is given another key's prompt.
func TestAnIdThatIsTakenHarmsNothing(t *testing.T) {
	c := stuckPool(t)
	one, other := c.as(c.addKey(keys.Limits{})), c.as(c.addKey(keys.Limits{}))
	png, err := base64.StdEncoding.DecodeString(dot)
	if err != nil {
		t.Fatal(err)
	}
	large := append(png, make([]byte, 2<<20)...) // above what a row holds
	for _, k := range []*client{one, other} {
		if status, text := k.sendUpload("a.png", "", "", large); status != 200 {
			t.Fatalf("upload: %d %s", status, text)
		}
	}
	const id = "dddddddd-0000-4000-8000-000000000000"
	body := func(workflow string) string { return `{"prompt_id":"` + id + `","prompt":` + workflow + `}` }
	one.want(200, "POST", "/prompt", body(loadImage), nil)
	dir := filepath.Join(c.svc.Dir, "works", id)
	files := func() (out []string) {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dir, "in-*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			data, err := os.ReadFile(f)
			if err != nil || !bytes.Equal(data, large) {
				t.Errorf("%s: %d bytes, %v", f, len(data), err)
			}
			out = append(out, f)
		}
		return out
	}
	before := files()
	if len(before) != 1 {
		t.Fatalf("files %v", before)
	}
	one.want(200, "POST", "/prompt", body(loadImage), nil)                                                            // the same again
	one.want(400, "POST", "/prompt", body(strings.Replace(loadImage, `"pic"`, `"other"`, 1)), nil)                    // another prompt
	if r := other.want(400, "POST", "/prompt", body(loadImage), nil); !strings.Contains(fmt.Sprint(r), "prompt_id") { // the same of another key
		t.Errorf("another key's: %v", r)
	}
	if after := files(); !slices.Equal(after, before) {
		t.Errorf("files %v, then %v", before, after)
	}
}

// A work that could not be taken when its turn came is not forgotten: it is looked for again.
func TestAWorkIsNotLostBetweenLineAndRun(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for beats of five seconds")
	}
	c := serve(t, Options{})
	k := c.as(c.addKey(keys.Limits{Concurrent: 1}))
	// A row that says that it runs, as one does whose end could not be written. The key may run one work.
	row := &ledger.Order{Work: ledger.Work{ID: "stale", Kind: ledger.Batch, Owner: keyID(k.key), State: ledger.Running, Created: time.Now()}, Request: []byte("{}")}
	if _, _, err := c.svc.ledger.AddWork(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	set := func(query string) {
		t.Helper()
		if err := c.svc.ledger.Write(t.Context(), func(tx *ledger.Tx) error { return tx.Exec(query) }); err != nil {
			t.Fatal(err)
		}
	}
	set("UPDATE works SET beat = 9000000000000000 WHERE id = 'stale'") // somebody seems to run it
	id := k.jobs("preview", 1)[0]
	eventually(t, "its turn has come, in vain", func() bool { s := c.svc.Queue.Stand(); return s.Waiting == 0 && s.Jobs == 0 })
	if w, err := c.svc.ledger.Work(t.Context(), id); err != nil || w.State != ledger.Waiting {
		t.Fatalf("%+v, %v", w, err)
	}
	set("UPDATE works SET state = 'done' WHERE id = 'stale'")
	eventually(t, "it is taken up again", func() bool { return k.word("preview", id) == "COMPLETED" })
}

// A batch that is alone has all places, also those that used to be kept for jobs; a job that comes starts all the same.
func TestALoneBatchFillsItsEndpoint(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints: {slow: {type: preview, limits: {in_flight: 4}, emulator: {execution: 10h}}}\n")
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends})
	batch := small("alone", 6)
	batch["endpoints"], batch["schedule"] = []string{"slow"}, map[string]any{"fuse": "off"}
	id := c.want(202, "POST", "/api/v1/batches", batch, nil)["id"].(string)
	eventually(t, "four of its renders are on the endpoint", func() bool {
		totals, _ := c.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["totals"].(map[string]any)
		return totals["active"] == 4.0
	})
	job := c.jobs("slow", 1)[0]
	eventually(t, "a job has its turn", func() bool { return c.word("slow", job) == "IN_PROGRESS" })
	c.want(202, "DELETE", "/api/v1/batches/"+id, nil, nil)
	c.ended(id)
}

// The same submit is answered as before also when the key's budget is used up by then.
func TestARepeatedSubmitNeedsNoBudget(t *testing.T) {
	c := serve(t, Options{})
	text := c.addKey(keys.Limits{BudgetUSD: 1})
	k := c.as(text)
	first := k.want(202, "POST", "/api/v1/batches", small("once", 1), header{"Idempotency-Key": "k"})
	c.spend(text, "spent", 2, time.Now())
	if again := k.want(202, "POST", "/api/v1/batches", small("once", 1), header{"Idempotency-Key": "k"}); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("%v, then %v", first, again)
	}
	k.want(403, "POST", "/api/v1/batches", small("another", 1), header{"Idempotency-Key": "k"})
	k.want(403, "POST", "/api/v1/batches", small("once", 1), header{"Idempotency-Key": "k2"})
}

// A key names one request of one face: the same words on another face are another request.
func TestAnIdempotencyKeyIsOfOneFace(t *testing.T) {
	c := serve(t, Options{})
	body := map[string]any{"input": map[string]any{"workflow": flow(7)}}
	first := c.want(200, "POST", "/v2/preview/run", body, header{"Idempotency-Key": "k"})
	if again := c.want(200, "POST", "/v2/preview/run", body, header{"Idempotency-Key": "k"}); again["id"] != first["id"] {
		t.Errorf("%v, then %v", first, again)
	}
	c.want(409, "POST", "/v1/preview/run", body, header{"Idempotency-Key": "k"})
}

// What is deleted is in no count any more.
func TestCountsFollowDeletions(t *testing.T) {
	c := comfyServer(t)
	id := c.prompt(0, "")
	eventually(t, "it has ended", func() bool { return len(c.want(200, "GET", "/history/"+id, nil, nil)) == 1 })
	if h := c.svc.Queue.Health("preview", "", true); h.Done != 1 {
		t.Fatalf("%+v", h)
	}
	c.want(200, "POST", "/history", `{"clear":true}`, nil)
	c.want(200, "POST", "/history", `{"delete":["`+id+`"]}`, nil)
	if h := c.svc.Queue.Health("preview", "", true); h.Done != 0 {
		t.Errorf("after deletion: %+v", h)
	}
}
