//go:build unix

package service

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// runReplica is the main function of a replica in a process of its own: this program with the words replica, folder, database, endpoints file, name.
func runReplica() {
	if err := serveReplica(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveReplica(dir, url, file, name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	text, err := source.ReadFile(file)
	if err != nil {
		return err
	}
	ends, findings := compiler.LoadEndpoints(text, true, nil)
	if len(findings) > 0 {
		return fmt.Errorf("%v", findings)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := Open(ctx, Options{Dir: dir, Postgres: url, EndpointsFile: file, Endpoints: ends, Address: "127.0.0.1:0", Replica: name, Getenv: func(string) string { return "" },
		Scripts: script.Options{Command: []string{self, "script-child"}}, Ready: func(base string) { fmt.Println(base) }})
	if err != nil {
		return err
	}
	return s.Serve(ctx)
}

// process starts a replica in a process of its own.
func (m *team) process(name string) (*client, *os.Process) {
	m.t.Helper()
	file, _ := m.remote.endpoints(m.t, m.limit)
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(self, "replica", m.dir, m.url, file, name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		m.t.Fatalf("replica %s did not start: %v", name, err)
	}
	return &client{t: m.t, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, base: strings.TrimSpace(line)}, cmd.Process
}

// observer looks into the database that replicas share.
type observer struct {
	t      *testing.T
	leases *lease.Queue
	ledger *ledger.Ledger
}

func (m *team) observer() *observer {
	m.t.Helper()
	o := &observer{t: m.t}
	var err error
	if o.leases, err = lease.Open(m.t.Context(), m.url); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(o.leases.Close)
	if o.ledger, err = ledger.OpenPostgres(m.url); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { o.ledger.Close() })
	return o
}

// owners lists who holds slices of a batch.
func (o *observer) owners(id string) []string {
	return (&client{t: o.t, svc: &Service{leases: o.leases}}).owners(id)
}

// silence makes the database believe that nothing was heard of a replica for 31 s. A statement of the replica's own could come after it, so
// it must have been stopped before.
func (o *observer) silence(name string) {
	o.t.Helper()
	err := o.ledger.Write(o.t.Context(), func(tx *ledger.Tx) error {
		if err := tx.Exec("UPDATE comfyc.slices SET heartbeat = heartbeat - interval '31 s' WHERE owner = ? AND slice >= 0", name); err != nil {
			return err
		}
		return tx.Exec("UPDATE works SET beat = beat - 31000000 WHERE holder = ? AND beat > 0", name)
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// holders lists who holds works that have not ended.
func (o *observer) holders() (out []string) {
	o.t.Helper()
	for _, name := range []string{"a", "b"} {
		works, err := o.ledger.Held(o.t.Context(), name)
		if err != nil {
			o.t.Fatal(err)
		}
		if len(works) > 0 {
			out = append(out, name)
		}
	}
	return out
}

// underWay starts two replicas in processes, a and b, and gives both a batch and a job, all of whose remote jobs have begun and none has ended.
func (m *team) underWay(o *observer) (a *os.Process, b *client, batch, job string) {
	m.t.Helper()
	first, a := m.process("a")
	m.first = first
	job = first.want(200, "POST", "/v2/cloud/run", map[string]any{"input": map[string]any{"workflow": flow(1000)}}, nil)["id"].(string)
	eventually(m.t, "the job is under way", func() bool { return m.remote.known(1) })
	batch = first.submit(onCloud("under way", 48), nil)
	eventually(m.t, "the batch is under way", func() bool { return m.remote.known(m.limit) })
	b, _ = m.process("b")
	if owners := o.owners(batch); !slices.Contains(owners, "a") {
		m.t.Fatalf("replica a has no slice: %v", owners)
	}
	return a, b, batch, job
}

// finish opens the gate, and holds that both end well and that nothing was sent twice.
func (m *team) finish(b *client, batch, job string) {
	m.t.Helper()
	m.remote.gate(true)
	if end := b.ended(batch); end["state"] != "done" {
		m.t.Errorf("ended %v", end)
	}
	eventually(m.t, "the job ends", func() bool { return b.want(200, "GET", "/v2/cloud/status/"+job, nil, nil)["status"] == "COMPLETED" })
	if _, most, cancels := m.remote.now(); cancels > 0 || most > m.limit {
		m.t.Errorf("%d jobs were cancelled, and %d in flight", cancels, most)
	}
	m.remote.once(m.t, 49)
}

// A replica that is killed is taken over from the stored ids of its remote jobs: none is submitted again.
func TestReplicaIsKilled(t *testing.T) {
	m := newTeam(t, 6)
	o := m.observer()
	a, b, batch, job := m.underWay(o)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(); err != nil {
		t.Fatal(err)
	}
	o.silence("a")
	m.finish(b, batch, job)
}

// A replica that was stopped for a while, and woken when others have done its work, writes nothing any more.
func TestReplicaIsFrozen(t *testing.T) {
	m := newTeam(t, 6)
	o := m.observer()
	a, b, batch, job := m.underWay(o)
	if err := a.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "replica b has all of it", func() bool {
		o.silence("a") // again, as a statement of its own may have been under way
		return slices.Equal(o.owners(batch), []string{"b"}) && slices.Equal(o.holders(), []string{"b"})
	})
	m.finish(b, batch, job)
	before := o.rows()
	if err := a.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the woken replica lets go", func() bool {
		queue := m.first.want(200, "GET", "/api/v1/status", nil, nil)["queue"].(map[string]any)
		return queue["Batches"] == 0.0 && queue["Jobs"] == 0.0
	})
	if after := o.rows(); after != before {
		t.Errorf("the woken replica wrote:\n%s\nwas:\n%s", after, before)
	}
	m.remote.once(t, 49)
}

// rows prints what the database knows of works, slices, attempts and events.
func (o *observer) rows() string {
	o.t.Helper()
	var out strings.Builder
	err := o.ledger.Write(o.t.Context(), func(tx *ledger.Tx) error {
		out.Reset()
		for _, query := range []string{"SELECT string_agg(w::text, E'\\n' ORDER BY id) FROM works w", "SELECT string_agg(p.work || p.kind || p.id || md5(p.data), E'\\n' ORDER BY work, kind, id) FROM parts p",
			"SELECT string_agg(e.work || e.seq || e.data, E'\\n' ORDER BY work, seq) FROM events e", "SELECT string_agg(e.seq || e.body, E'\\n' ORDER BY seq) FROM comfyc.events e",
			"SELECT string_agg(s.batch || s.slice || s.state || s.epoch || s.totals, E'\\n' ORDER BY batch, slice) FROM comfyc.slices s WHERE slice >= 0",
			"SELECT string_agg(a::text, E'\\n' ORDER BY batch, slice, number) FROM comfyc.attempts a", "SELECT string_agg(r::text, E'\\n' ORDER BY batch, idx) FROM comfyc.renders r"} {
			var text *string
			if err := tx.Row(query).Scan(&text); err != nil {
				return err
			}
			if text != nil {
				fmt.Fprintln(&out, *text)
			}
		}
		return nil
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return out.String()
}
