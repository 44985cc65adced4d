// Package s3test gives a test an S3 server of its own that verifies signatures: versitygw, on a loopback port, over temporary folders. It ends with the
// test.
//
// The program is looked for in $COMFYC_VERSITYGW, $PATH, $GOBIN and ~/go/bin. Without it, and under -short, the tests that ask are skipped, and say so.
//
// Concurrency: each call of [Start] makes a server; servers know nothing of each other.
package s3test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Key and Secret are the credentials of the server's owner.
const Key, Secret = "ROOTKEYROOTKEY", "rootsecretrootsecret"

// Server is a running server.
type Server struct{ Address string } // host:port

// patience bounds one start; only a server that hangs takes so long.
const patience = 2 * time.Minute

// Start starts a server and makes buckets on it. Options are those of versitygw's command line, in front of the backend's.
func Start(t testing.TB, buckets []string, options ...string) Server {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED: a real S3 server takes long; run without -short")
	}
	program := find()
	if program == "" {
		t.Skip("NOT TESTED: S3 against a real server; go install github.com/versity/versitygw/cmd/versitygw@v1.8.0, or name it in COMFYC_VERSITYGW")
	}
	for range 5 { // somebody else may take the port between our looking for one and the server's listening
		if s, ok := start(t, program, options); ok {
			s.make(t, buckets)
			return s
		}
	}
	t.Fatal("versitygw does not listen")
	panic("unreachable")
}

// start starts the program once; false if it ends before it listens.
func start(t testing.TB, program string, options []string) (Server, bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server{l.Addr().String()}
	l.Close()
	args := append([]string{"--port", s.Address, "--quiet"}, options...)
	cmd := exec.Command(program, append(args, "posix", "--sidecar", t.TempDir(), t.TempDir())...) // not every file system has extended attributes
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+Key, "ROOT_SECRET_KEY="+Secret)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for end := time.Now().Add(patience); time.Now().Before(end); {
		select {
		case <-ended:
			t.Logf("versitygw ended: %s", said.String())
			return s, false
		case <-time.After(20 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", s.Address); err == nil {
			c.Close()
			return s, true
		}
	}
	return s, false
}

// make makes the buckets.
func (s Server) make(t testing.TB, buckets []string) {
	t.Helper()
	if len(buckets) == 0 {
		return
	}
	client, err := minio.New(s.Address, &minio.Options{Creds: credentials.NewStaticV4(Key, Secret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range buckets {
		if err := client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{Region: "us-east-1"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Getenv gives the owner's credentials under the names that comfyc reads, and nothing else.
func Getenv(name string) string {
	return map[string]string{"BUCKET_ACCESS_KEY_ID": Key, "BUCKET_SECRET_ACCESS_KEY": Secret}[name]
}

// find gives the program's path, "" if it is not installed.
func find() string {
	home, _ := os.UserHomeDir()
	for _, name := range []string{os.Getenv("COMFYC_VERSITYGW"), "versitygw", filepath.Join(os.Getenv("GOBIN"), "versitygw"), filepath.Join(home, "go", "bin", "versitygw")} {
		if p, err := exec.LookPath(name); name != "" && err == nil {
			return p
		}
	}
	return ""
}
