package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
)

// environment answers for variables.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func open(t *testing.T, c Config, o Options) *Bucket {
	t.Helper()
	b, err := Open(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// runDir is a small run directory with a large file in it.
func runDir(t *testing.T) (string, *render.Manifest) {
	t.Helper()
	dir := t.TempDir()
	for name, size := range map[string]int{"images/a b.png": 100, "thumbs/a b.jpg": 10, "originals/a b.png": 90, "images/film.mp4": 40 << 20, "index.html": 50, "index.csv": 5, "images/x.bin": 7} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte(name[:1]), size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := &render.Manifest{Version: 1, Name: "x", Cells: []render.Cell{{ID: "1", Files: []render.File{
		{Path: "images/a b.png", Thumb: "thumbs/a b.jpg", Original: "originals/a b.png"}, {Path: "images/film.mp4"}, {Path: "images/x.bin"}, {Path: "images/gone.png"}}}}}
	if err := m.WriteFile(filepath.Join(dir, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// TestPublish publishes to a real server, again without sending anything, and again after a change; and reads back, also in parts.
func TestPublish(t *testing.T) {
	g := s3test.Start(t, nil)
	b := open(t, Config{URL: "s3://pictures/foxes/1", Endpoint: "http://" + g.Address, Style: "path"}, Options{Getenv: s3test.Getenv})
	ctx := t.Context()
	dir, m := runDir(t)
	var missing *scheduler.Error
	if _, err := b.Publish(ctx, dir, m); !errors.As(err, &missing) || missing.Kind != scheduler.Rejected || !strings.Contains(err.Error(), "make it first") {
		t.Fatalf("without a bucket: %v", err)
	}
	if err := clientOf(t, b, nil).MakeBucket(ctx, "pictures", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	first, err := b.Publish(ctx, dir, m)
	if err != nil || first.Sent != 8 || first.Skipped != 0 || first.URL != "s3://pictures/foxes/1/index.html" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := b.Publish(ctx, dir, m); err != nil || again.Sent != 0 || again.Skipped != 8 || again.Bytes != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "images", "x.bin"), []byte("1234567"), 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := b.Publish(ctx, dir, m); err != nil || changed.Sent != 1 || changed.Bytes != 7 {
		t.Errorf("changed: %+v, %v", changed, err)
	}
	info, err := clientOf(t, b, nil).StatObject(ctx, "pictures", "foxes/1/images/film.mp4", minio.StatObjectOptions{})
	if err != nil || info.ContentType != "video/mp4" || !strings.HasSuffix(strings.Trim(info.ETag, `"`), "-3") {
		t.Errorf("the film in three parts: %+v, %v", info, err)
	}
	checkFetch(t, b)
	checkPresigned(t, g, b)
}

// checkFetch reads objects as outputs.
func checkFetch(t *testing.T, b *Bucket) {
	read := func(url string, from scheduler.Resume) (string, scheduler.Resume, error) {
		body, err := b.Fetch(t.Context(), url, from)
		if err != nil {
			return "", scheduler.Resume{}, err
		}
		defer body.Close()
		data, err := io.ReadAll(body)
		return string(data), body.(scheduler.Resumable).Resume(), err
	}
	const name = "s3://pictures/foxes/1/images/x.bin"
	whole, at, err := read(name, scheduler.Resume{})
	if err != nil || whole != "1234567" || at.Match == "" {
		t.Errorf("%q, %+v, %v", whole, at, err)
	}
	if rest, from, err := read(name, scheduler.Resume{From: 3, Match: at.Match}); err != nil || rest != "4567" || from.From != 3 {
		t.Errorf("the rest: %q, %+v, %v", rest, from, err)
	}
	if rest, from, err := read(name, scheduler.Resume{From: 3, Match: "0123456789abcdef0123456789abcdef"}); err != nil || rest != whole || from.From != 0 {
		t.Errorf("of another version: %q, %+v, %v", rest, from, err)
	}
	for url, kind := range map[string]scheduler.Kind{"s3://pictures/none": scheduler.Lost, "s3://others/x": scheduler.Rejected, "s3://pictures/": scheduler.Rejected, "s3://UP/x": scheduler.Rejected} {
		var e *scheduler.Error
		if _, _, err := read(url, scheduler.Resume{}); !errors.As(err, &e) || e.Kind != kind {
			t.Errorf("%s: %v, want %v", url, err, kind)
		}
	}
}

// checkPresigned: presigned addresses, as workers give them, are read by GET through the dialects' client; expired ones and those with
// a changed signature are refused by the server and classed as lost.
func checkPresigned(t *testing.T, g s3test.Server, b *Bucket) {
	client, err := call.New(call.Options{Endpoint: "e", Base: "http://api.example", AllowHosts: []string{g.Address}})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(life time.Duration) string {
		u, err := clientOf(t, b, nil).PresignedGetObject(t.Context(), "pictures", "foxes/1/images/x.bin", life, nil)
		if err != nil {
			t.Fatal(err)
		}
		return u.String()
	}
	good := sign(time.Hour)
	if answer, err := http.Head(good); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("HEAD of an address presigned for GET: %v, %v", answer, err)
	}
	body, err := client.Fetch(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	at := body.(scheduler.Resumable).Resume()
	body.Close()
	if err != nil || string(data) != "1234567" {
		t.Errorf("%q, %v", data, err)
	}
	if body, err = client.FetchFrom(t.Context(), good, scheduler.Resume{From: 5, Match: at.Match}); err != nil {
		t.Fatal(err)
	}
	data, _ = io.ReadAll(body)
	body.Close()
	if string(data) != "67" {
		t.Errorf("the rest of a presigned address: %q", data)
	}
	short := sign(time.Second)
	time.Sleep(2100 * time.Millisecond)
	for name, address := range map[string]string{"expired": short, "changed": strings.Replace(good, "X-Amz-Signature=", "X-Amz-Signature=0", 1), "other": strings.Replace(good, "x.bin", "film.mp4", 1)} {
		var e *scheduler.Error
		if _, err := client.Fetch(t.Context(), address); !errors.As(err, &e) || e.Kind != scheduler.Lost || strings.Contains(err.Error(), "Signature=") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrongKeys: the server verifies signatures, and what it says is told without the secret.
func TestWrongKeys(t *testing.T) {
	g := s3test.Start(t, nil)
	dir, m := runDir(t)
	for name, pair := range map[string][2]string{"secret": {s3test.Key, "wrongsecretwrongsecret"}, "key": {"NOKEYNOKEYNOKEY", s3test.Secret}} {
		b := open(t, Config{URL: "s3://pictures", Endpoint: "http://" + g.Address, Style: "path"},
			Options{Getenv: environment("AWS_ACCESS_KEY_ID", pair[0], "AWS_SECRET_ACCESS_KEY", pair[1])})
		_, err := b.Publish(t.Context(), dir, m)
		var e *scheduler.Error
		if !errors.As(err, &e) || e.Kind != scheduler.Unauthorized || strings.Contains(err.Error(), pair[1]) {
			t.Errorf("wrong %s: %v %#v", name, err, e)
		}
	}
}

// TestHostStyle puts the bucket into the host's name.
func TestHostStyle(t *testing.T) {
	g := s3test.Start(t, nil, "--virtual-domain", "s3.example")
	dialer := &net.Dialer{}
	var hosts []string
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		hosts = append(hosts, address)
		return dialer.DialContext(ctx, network, g.Address)
	}}
	b := open(t, Config{URL: "s3://pictures/p", Endpoint: "http://s3.example", Style: "host"}, Options{Getenv: s3test.Getenv, Transport: transport})
	if err := clientOf(t, b, transport).MakeBucket(t.Context(), "pictures", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	dir, m := runDir(t)
	report, err := b.Publish(t.Context(), dir, m)
	if err != nil || report.Sent != 8 || !strings.HasPrefix(hosts[len(hosts)-1], "pictures.s3.example:") {
		t.Errorf("%+v, %v, hosts %v", report, err, hosts)
	}
}

// TestSessionToken: the token goes along, the secret does not.
func TestSessionToken(t *testing.T) {
	seen := http.Header{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>`)
	}))
	defer s.Close()
	b := open(t, Config{URL: "s3://pictures", Endpoint: s.URL, Region: "eu-north-1"},
		Options{Getenv: environment("AWS_ACCESS_KEY_ID", "AKIDAKIDAKID", "AWS_SECRET_ACCESS_KEY", "topsecretkey", "AWS_SESSION_TOKEN", "tok-en")})
	_, err := b.Fetch(t.Context(), "s3://pictures/x", scheduler.Resume{})
	var e *scheduler.Error
	if !errors.As(err, &e) || e.Kind != scheduler.Unauthorized || !strings.Contains(e.Message, "expired") {
		t.Errorf("%v", err)
	}
	auth := seen.Get("Authorization")
	if seen.Get("X-Amz-Security-Token") != "tok-en" || !strings.Contains(auth, "AKIDAKIDAKID/") || !strings.Contains(auth, "/eu-north-1/s3/") || strings.Contains(fmt.Sprint(seen), "topsecretkey") {
		t.Errorf("headers %v", seen)
	}
}

// clientOf is a client for the same place, for what a Bucket has no use for.
func clientOf(t *testing.T, b *Bucket, transport http.RoundTripper) *minio.Client {
	t.Helper()
	client, err := b.at.client(transport)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
