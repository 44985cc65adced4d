package dialect_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// emulatedPod gives an endpoint in RunPod's language over an emulator, without sockets.
func emulatedPod(t *testing.T, remote emulator.Endpoint, cfg compiler.EndpointConfig) (*emulator.Emulator, scheduler.Endpoint) {
	t.Helper()
	remote.Name = "x"
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{remote}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Type, cfg.URL, cfg.FromUser = "ep", "runpod", "http://127.0.0.1:1/v2/x", true
	ep, err := dialect.Open(cfg, dialect.Deps{Transport: e.RoundTripper(), Getenv: func(name string) string { return "secret-of-" + name }})
	if err != nil {
		t.Fatal(err)
	}
	return e, ep
}

// TestTerms is what a job is told besides its input, and what of it shows.
func TestTerms(t *testing.T) {
	bucket := &compiler.Bucket{URL: "https://s3.example", Name: "b", KeyEnv: "ID", SecretEnv: "SECRET"}
	all := scheduler.Terms{Token: "tok-1", Execution: 90*time.Second + 1, TTL: time.Hour, LowPriority: true, Webhook: "https://me.example/hooks/tok-1"}
	for name, c := range map[string]struct {
		kind  string
		cfg   compiler.EndpointConfig
		terms scheduler.Terms
		want  string // beside the input
	}{
		"none":      {"runpod", compiler.EndpointConfig{}, scheduler.Terms{Token: "x"}, ``},
		"all":       {"runpod", compiler.EndpointConfig{}, all, `,"webhook":"https://me.example/hooks/tok-1","policy":{"executionTimeout":90001,"ttl":3600000,"lowPriority":true}`},
		"bounds":    {"runpod", compiler.EndpointConfig{}, scheduler.Terms{Execution: time.Second, TTL: 365 * 24 * time.Hour}, `,"policy":{"executionTimeout":5000,"ttl":604800000}`},
		"the users": {"runpod", compiler.EndpointConfig{Terms: compiler.JobTerms{Execution: time.Minute, LowPriority: true}}, scheduler.Terms{Execution: time.Hour}, `,"policy":{"executionTimeout":60000,"lowPriority":true}`},
		"a bucket":  {"runpod", compiler.EndpointConfig{Bucket: bucket}, scheduler.Terms{}, `,"s3Config":{"accessId":"secret-of-ID","accessSecret":"secret-of-SECRET","bucketName":"b","endpointUrl":"https://s3.example"}`},
		"novita":    {"novita", compiler.EndpointConfig{Terms: compiler.JobTerms{TTL: time.Hour}}, all, ``},
	} {
		var body string
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			body = string(b)
			http.Error(w, `{"error":"no: `+strings.ReplaceAll(body, `"`, `'`)+`"}`, 400)
		}))
		c.cfg.Name, c.cfg.Type, c.cfg.URL, c.cfg.FromUser = "ep", c.kind, url+"/v2/x", true
		ep, err := dialect.Open(c.cfg, dialect.Deps{Getenv: func(name string) string { return "secret-of-" + name }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = ep.Submit(deadline(t), testJob(), c.terms)
		if want := `{"input":{"workflow":` + string(testJob().Prompt) + `}` + c.want + `}`; body != want {
			t.Errorf("%s: sent %s, want %s", name, body, want)
		}
		if err == nil || strings.Contains(err.Error(), "tok-1") || strings.Contains(err.Error(), "secret-of") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
		p := ep.Properties()
		if runpod := c.kind == "runpod"; p.TakesWebhook != runpod || p.TakesTimeouts != runpod || p.TakesPriority != runpod || p.ByURL != (c.cfg.Bucket != nil) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestBucketKeys: keys inside of a job go to whoever owns the endpoint, so the user has to have said so.
func TestBucketKeys(t *testing.T) {
	bucket := &compiler.Bucket{URL: "https://s3.example", Name: "b", KeyEnv: "RUNPOD_API_KEY", SecretEnv: "SECRET"}
	for name, c := range map[string]struct {
		cfg   compiler.EndpointConfig
		allow map[string][]string
		fails string
	}{
		"the user's own":     {compiler.EndpointConfig{Type: "runpod", URL: "https://api.runpod.ai/v2/x", FromUser: true}, nil, ""},
		"a batch's":          {compiler.EndpointConfig{Type: "runpod", URL: "https://api.runpod.ai/v2/x"}, nil, "RUNPOD_API_KEY may not go to api.runpod.ai"},
		"allowed in part":    {compiler.EndpointConfig{Type: "runpod", URL: "https://api.runpod.ai/v2/x"}, map[string][]string{"RUNPOD_API_KEY": {"api.runpod.ai"}}, "SECRET may not go"},
		"allowed":            {compiler.EndpointConfig{Type: "runpod", URL: "https://api.runpod.ai/v2/x"}, map[string][]string{"RUNPOD_API_KEY": {"api.runpod.ai"}, "SECRET": {"*.runpod.ai"}}, ""},
		"in the clear":       {compiler.EndpointConfig{Type: "runpod", URL: "http://gpu.example/v2/x", FromUser: true}, nil, "without encryption"},
		"a type without one": {compiler.EndpointConfig{Type: "novita", URL: "https://async.novita.ai/v1/x", FromUser: true}, nil, "takes no bucket"},
	} {
		c.cfg.Name, c.cfg.Bucket = "ep", bucket
		_, err := dialect.Open(c.cfg, dialect.Deps{Getenv: func(string) string { return "s3cr3t" }, AllowKeys: c.allow})
		if (c.fails == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), "s3cr3t")) {
			t.Errorf("%s: %v, want %q", name, err, c.fails)
		}
	}
}

// TestPollWait: the answer comes with the end, or after the time, whichever is first; in the emulator's time.
func TestPollWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, ep := emulatedPod(t, emulator.Endpoint{Worker: "echo", Execution: emulator.ExecutionTime{Fixed: 20 * time.Second}}, compiler.EndpointConfig{})
		defer e.Close()
		long := ep.(scheduler.LongPoller)
		ctx := t.Context()
		id, err := ep.Submit(ctx, testJob(), scheduler.Terms{})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if st, err := long.PollWait(ctx, id, 5*time.Second); err != nil || st.State != scheduler.Running || time.Since(begun) != 5*time.Second {
			t.Errorf("%+v after %v, %v", st, time.Since(begun), err)
		}
		st, err := long.PollWait(ctx, id, ep.Properties().LongPoll)
		if err != nil || !st.State.Final() || time.Since(begun) != 20*time.Second {
			t.Errorf("%+v after %v, %v", st, time.Since(begun), err)
		}
		if st, err := long.PollWait(ctx, "unknown", time.Second); err != nil || st.State != scheduler.Gone {
			t.Errorf("an unknown job: %+v, %v", st, err)
		}
		given, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		again, err := ep.Submit(ctx, testJob(), scheduler.Terms{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := long.PollWait(given, again, time.Minute); err == nil || kindOf(t, err) != transient {
			t.Errorf("given up: %v", err)
		}
	})
}

// TestPolicies: the platform ends jobs as they were told, and starts no worker for the patient ones.
func TestPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, ep := emulatedPod(t, emulator.Endpoint{Worker: "echo", MaxWorkers: 1, Execution: emulator.ExecutionTime{Fixed: time.Minute}}, compiler.EndpointConfig{})
		defer e.Close()
		ctx := t.Context()
		submit := func(terms scheduler.Terms) string {
			id, err := ep.Submit(ctx, testJob(), terms)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		state := func(id string) scheduler.State {
			st, err := ep.Poll(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return st.State
		}
		patient := submit(scheduler.Terms{LowPriority: true})
		time.Sleep(time.Hour)
		if got := state(patient); got != scheduler.Queued {
			t.Errorf("a patient job alone: %v", got)
		}
		short := submit(scheduler.Terms{Execution: 30 * time.Second}) // behind the patient one, on the worker that it brings about
		late := submit(scheduler.Terms{TTL: 80 * time.Second})
		time.Sleep(100 * time.Second)
		for id, want := range map[string]scheduler.State{patient: scheduler.Failed, short: scheduler.TimedOut, late: scheduler.TimedOut} {
			if got := state(id); got != want { // an echo of no form fails, which is all the same here
				t.Errorf("%v, want %v", got, want)
			}
		}
		if again, err := ep.(scheduler.Retrier).Retry(ctx, short); err != nil || again != short || state(short) != scheduler.Running {
			t.Errorf("retry: %q, %v", again, err)
		}
		for _, id := range []string{patient, "unknown"} {
			if _, err := ep.(scheduler.Retrier).Retry(ctx, id); err == nil || kindOf(t, err) != rejected {
				t.Errorf("retry of %s: %v", id, err)
			}
		}
		submit(scheduler.Terms{})
		if n, err := ep.(scheduler.Purger).Purge(ctx); err != nil || n != 1 {
			t.Errorf("purged %d, %v", n, err)
		}
	})
}

// TestRetryTroubles: what runs again is paid for, so a lost answer is uncertain.
func TestRetryTroubles(t *testing.T) {
	for want, h := range map[scheduler.Kind]http.HandlerFunc{uncertain: status(500, "", ""), busy: status(429, "", ""), rejected: status(400, "", `{"error":"COMPLETED"}`)} {
		url := serve(t, h)
		ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "runpod", URL: url}, dialect.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ep.(scheduler.Retrier).Retry(deadline(t), "job-1"); err == nil || kindOf(t, err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestNovitaOffersLess: what Novita does not document is not there to be called.
func TestNovitaOffersLess(t *testing.T) {
	_, ep := start(t, subjects[0], "", nil)
	if _, ok := ep.(scheduler.LongPoller); ok {
		t.Error("a long poll")
	}
	if _, ok := ep.(scheduler.Retrier); ok {
		t.Error("a retry")
	}
	if p := ep.Properties(); p.LongPoll != 0 || p.TakesWebhook || p.TakesTimeouts {
		t.Errorf("%+v", p)
	}
}

// TestWebhook: the end of a job is delivered to the address that it was told, again if it was not taken, and read as a hint.
func TestWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks := make(chan scheduler.Hint, 10)
		calls := 0
		receiver := roundTrip(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			calls++
			answer := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&bytes.Buffer{})}
			if calls == 1 {
				answer.StatusCode = 502
				return answer, nil
			}
			token := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
			hint, ok := dialect.Delivery(token, body)
			if !ok {
				t.Errorf("not read: %s", body)
			}
			hooks <- hint
			return answer, nil
		})
		e, err := emulator.New(emulator.Config{Webhooks: true, Transport: receiver, Endpoints: []emulator.Endpoint{{Name: "x", Worker: "echo", Execution: emulator.ExecutionTime{Fixed: time.Second}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		ep, err := dialect.Open(compiler.EndpointConfig{Name: "ep", Type: "runpod", URL: "http://127.0.0.1:1/v2/x"}, dialect.Deps{Transport: e.RoundTripper()})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		id, err := ep.Submit(t.Context(), testJob(), scheduler.Terms{Token: "tok-1", Webhook: "https://me.example/hooks/tok-1"})
		if err != nil {
			t.Fatal(err)
		}
		if hint := <-hooks; hint != (scheduler.Hint{Token: "tok-1", Remote: id, State: scheduler.Completed}) || time.Since(begun) != 11*time.Second {
			t.Errorf("%+v after %v", hint, time.Since(begun))
		}
		synctest.Wait()
		if n := e.Stats().Endpoint("x").Webhooks; n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
	for _, body := range []string{"", "[]", "{}", `{"id":""}`, `{"id":"a\nb"}`, "<html>"} {
		if hint, ok := dialect.Delivery("t", []byte(body)); ok {
			t.Errorf("%q was read: %+v", body, hint)
		}
	}
}
