package compiler

import (
	"net/url"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// What an endpoint's configuration tells about workers, the terms of its jobs, and where outputs go. The schema has checked the forms.

// scale reads `workers`: how the endpoint is set up at the platform. What is not said stays 0, which means unknown.
func scale(v *source.Value) (w Workers) {
	w.Min, _ = v.Get("min").Int()
	w.Max, _ = v.Get("max").Int()
	w.Concurrency, _ = v.Get("concurrency").Int()
	w.ColdStart, _ = parseDuration(v.Get("cold_start").Str())
	w.IdleTimeout, _ = parseDuration(v.Get("idle_timeout").Str())
	return w
}

// jobTerms reads `policy`, what each job is told, where the platform lets it be told.
func jobTerms(v *source.Value) (t JobTerms) {
	t.Execution, _ = parseDuration(v.Get("execution_timeout").Str())
	t.TTL, _ = parseDuration(v.Get("ttl").Str())
	t.LowPriority = v.Get("low_priority") != nil && v.Get("low_priority").Bool
	return t
}

// bucket reads `bucket`; nil if there is none. The keys are names of variables: what they hold is looked up when the endpoint is opened.
func bucket(v *source.Value) *Bucket {
	if v == nil {
		return nil
	}
	return &Bucket{URL: v.Get("url").Str(), Name: v.Get("name").Str(), KeyEnv: v.Get("access_key_env").Str(), SecretEnv: v.Get("secret_key_env").Str()}
}

// checkBucket holds the keys of a bucket to the rule of keys: they go to the endpoint inside of each job, whoever owns it, so the configuration must be
// the user's own, or the command line must allow them.
func (c *compilation) checkBucket(e EndpointConfig, written *source.Value, must bool) {
	u, err := url.Parse(e.URL)
	if e.Bucket == nil || err != nil || u.Host == "" {
		return
	}
	host, make := strings.ToLower(u.Hostname()), diag.Warnf
	if must {
		make = diag.Errorf
	}
	at := diag.Of(written.Get("bucket"))
	for _, name := range []string{e.Bucket.KeyEnv, e.Bucket.SecretEnv} {
		switch {
		case !e.FromUser && !c.allowed(name, host):
			c.list.Add(diag.Errorf("key_not_allowed", at, "endpoint %s would send the bucket's key %s to %s with each job, and this configuration is not your own", e.Name, name, host).
				Hinted("allow it with --allow-key " + name + "=" + host + ", or move the endpoint into your own configuration"))
		case !c.isSet(name):
			c.list.Add(make("missing_key", at, "endpoint %s needs a key of its bucket, and the environment variable %s is not set", e.Name, name).
				Hinted("export " + name + "=… before the command"))
		}
	}
}
