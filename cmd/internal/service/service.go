package service

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/api"
	"github.com/comfyc/comfyc/cmd/internal/service/compat"
	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/native"
	"github.com/comfyc/comfyc/cmd/internal/service/outgoing"
	"github.com/comfyc/comfyc/cmd/internal/service/page"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/cmd/internal/service/trace"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// Options say what is served, and with what. Dir and Address are needed.
// Open fills the zero values of the rest in.
type Options struct {
	Dir           string                    // the data folder; replicas share one
	Address       string                    // host and port to listen on
	Postgres      string                    // address of the database that replicas share, "" for SQLite in Dir
	Replica       string                    // this process's name, unique among the replicas; "" makes one up
	Config        Config                    // as ParseConfig gave it
	Endpoints     []compiler.EndpointConfig // of the user's file; the preview endpoint is added
	EndpointsFile string                    // that Endpoints were read from
	Catalogue     *nodes.Catalogue
	ObjectInfo    []byte              // the snapshot that Catalogue was read from, nil for the built-in one
	Scripts       script.Options      // how node templates are run: in a child process
	Getenv        func(string) string // os.Getenv if nil
	Log           *slog.Logger        // nothing is logged if nil
	Now           func() time.Time    // time.Now if nil
	// Listen opens a listener; net.Listen if nil.
	Listen func(network, address string) (net.Listener, error)
	// Ready is told the base address when the service answers. May be nil.
	Ready func(base string)
}

// Service is one process of it.
// Its methods may be called from many goroutines after Open; Serve and Close are called once.
type Service struct {
	Options
	Queue   *queue.Queue
	Ring    *keys.Ring
	ledger  *ledger.Ledger // closed last: all others write to it until their end
	leases  *lease.Queue   // nil for SQLite
	courier *outgoing.Courier
	tracer  *trace.Exporter // nil unless OTEL_EXPORTER_OTLP_ENDPOINT is set
	metrics *web.Metrics
	site    *web.Site
	natives []*native.Face
	open    bool // Address is loopback
}

// drainTime is how long requests under way, and then works, may take to stop.
// Orchestrators send SIGKILL some time after SIGTERM (Kubernetes after 30 s), so a longer drain would be cut off anyhow.
// Nothing is lost by that.
const drainTime = 30 * time.Second

// Open makes a service ready. Nothing is listened on yet.
// A returned error has closed everything that was opened before it. The ledger exists and is migrated afterwards, the courier
// may already write to it.
func Open(ctx context.Context, o Options) (*Service, error) {
	o.fill()
	s := &Service{Options: o}
	if err := s.build(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// fill puts the process's own environment in for what is nil.
func (o *Options) fill() {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Replica == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "replica"
		}
		// The host's name is cut to 40 bytes: the name stands in rows and in logs.
		o.Replica = fmt.Sprintf("%.40s-%s", host, queue.NewID(o.Now())[:20]) // two that start at once differ by chance
	}
	if o.Catalogue == nil {
		o.Catalogue = nodes.BuiltIn()
	}
}

// build opens everything in the order in which it depends on each other. What was opened before an error is closed by Close.
// The ledger comes first, since keys, courier and queue read it; the site comes last, since it calls all of them.
func (s *Service) build(ctx context.Context) (err error) {
	if s.ledger, err = OpenLedger(s.Dir, s.Postgres); err != nil {
		return err
	}
	if s.Postgres != "" {
		if s.leases, err = lease.Open(ctx, s.Postgres); err != nil {
			return err
		}
	}
	if s.Ring, err = keys.Open(ctx, s.ledger, s.Now); err != nil {
		return err
	}
	box, err := seal.New(s.Getenv(seal.Variable)) // nil without COMFYC_STATE_KEY: then jobs with secrets are refused
	if err != nil {
		return err
	}
	s.courier = &outgoing.Courier{Ledger: s.ledger, Box: box, Secret: s.Ring.WebhookSecret, Log: s.Log, Now: s.Now}
	s.courier.Start(s.Config.AllowHosts)
	files, err := s.openFiles(ctx)
	if err != nil {
		return err
	}
	ends := s.Config.fill(s.Endpoints)
	s.Queue, err = queue.New(queue.Config{Dir: s.Dir, Ledger: s.ledger, Leases: s.leases, Ring: s.Ring, Courier: s.courier, Box: box, Catalogue: s.Catalogue, Endpoints: ends,
		EndpointsFile: s.EndpointsFile, Pools: s.Config.Pools, Getenv: s.Getenv, Files: files, Scripts: s.Scripts, Replica: s.Replica, Log: s.Log, Now: s.Now,
		MaxBatches: s.Config.MaxBatches, MaxRenders: s.Config.MaxRenders, KeepBatch: s.Config.KeepBatch, KeepJob: s.Config.KeepJob})
	if err != nil {
		return err
	}
	if s.open, err = loopback(s.Address); err != nil {
		return err
	}
	// Whoever reaches an open address could spend money, so keys are needed there before the first request, not after it.
	if !s.open && s.Ring.Empty(ctx) {
		return fmt.Errorf("%s is not loopback, and there are no keys: everybody who reaches it could spend your money. Make a key first: comfyc keys add NAME", s.Address)
	}
	s.metrics = web.NewMetrics()
	tellQueue(&s.metrics.Figures, s.Queue)
	if err := s.openTracer(); err != nil {
		return err
	}
	// The guard holds Host, Origin and forwarded addresses before a route is looked for.
	s.site = &web.Site{Routes: s.routes(), Guard: web.Guard{Loopback: s.open, Hosts: s.Config.Hosts, Origins: s.Config.Origins, Proxies: s.Config.Proxies}, Ring: s.Ring,
		MaxBody: s.Config.MaxBody, Log: s.Log, Metrics: s.metrics, Audit: s.audit, Tracer: s.tracer, Now: s.Now}
	return s.openNatives()
}

// openFiles opens the bucket that holds the works' files, if the configuration names one, and asks whether it is there: a wrong key ends the start, and
// not the first batch.
func (s *Service) openFiles(ctx context.Context) (*s3.Bucket, error) {
	if s.Config.Files == nil {
		return nil, nil
	}
	b, err := s3.Open(*s.Config.Files, s3.Options{Getenv: s.Getenv})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		err = b.Check(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return b, nil
}

// openTracer lets requests, works and attempts be traced, if the environment says where to.
// No variable, no tracer: nil is a tracer that does nothing, everywhere.
func (s *Service) openTracer() (err error) {
	if s.tracer, err = trace.Open(s.Getenv, s.Log); err != nil || s.tracer == nil {
		return err
	}
	s.Queue.Watch = newTracing(s.tracer)
	tellTraces(&s.metrics.Figures, s.tracer)
	return nil
}

// OpenLedger opens the ledger of a data folder, or the one on Postgres that replicas share.
// The command line opens it in the same way for `comfyc keys`, while a service may run on it.
func OpenLedger(dir, postgres string) (*ledger.Ledger, error) {
	if postgres != "" {
		return ledger.OpenPostgres(postgres)
	}
	return ledger.Open(dir)
}

// loopback tells whether an address is reached from this machine only.
// A name is not resolved, but for "localhost": what it resolves to may change after the check. An empty host means all
// addresses, so it is none.
func loopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("the address %q is no HOST:PORT", address)
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback(), nil
}

// Close frees what Open opened, if Serve was not called.
// It may be called after a failed Open, with any part missing.
func (s *Service) Close() error {
	if s.Queue != nil {
		s.Queue.Close()
	}
	if s.leases != nil {
		s.leases.Close()
	}
	if s.ledger == nil {
		return nil
	}
	return s.ledger.Close()
}

// The document is written by hand and held against the routes by a test; it is the same in every configuration.
//
//go:embed openapi.json
var openapi []byte

// Describe is the service's OpenAPI document.
func Describe() []byte { return openapi }

// routes lists all that is served on the main address.
// The order does not matter: the router takes the most specific path. A route without a Scope is open to everybody who passes
// the guard.
func (s *Service) routes() []web.Route {
	own := &api.API{Queue: s.Queue, Ledger: s.ledger, Ring: s.Ring, Now: s.Now}
	face := &compat.Face{Queue: s.Queue}
	s.Queue.Payload = face.Payload
	routes := []web.Route{
		// For a load balancer: the process lives.
		{Method: "GET", Path: "/healthz", Handle: func(c *web.Call) { c.JSON(200, map[string]string{"status": "ok"}) }, Quick: true},
		{Method: "GET", Path: "/readyz", Handle: s.ready, Quick: true}, // takes requests: ledger answers, not draining
		{Method: "GET", Path: "/metrics", Scope: keys.Read, Handle: s.metrics.Serve(), Quick: true},
		{Method: "GET", Path: "/openapi.json", Handle: func(c *web.Call) { c.Text(200, web.JSON, openapi) }},
	}
	routes = append(routes, page.Routes()...)
	routes = append(routes, own.Routes()...)
	return append(routes, face.Routes()...)
}

// ready is GET /readyz: whether requests can be taken.
// 503 while draining makes load balancers turn to other replicas, before the listener closes. The ledger gets two seconds to
// answer.
func (s *Service) ready(c *web.Call) {
	ctx, cancel := context.WithTimeout(c.Ctx, 2*time.Second)
	defer cancel()
	if err := s.ledger.Ping(ctx); err != nil || c.Ctx.Err() != nil {
		c.Problem(503, "not_ready", "the ledger does not answer, or the service is stopping")
		return
	}
	c.JSON(200, map[string]string{"status": "ready"})
}

// audit notes who did what.
// It is called after the deed, with a context of its own, so that a client that hangs up leaves its line too. A log that cannot
// be written is an error in the log, and no error of the request.
func (s *Service) audit(k *keys.Key, action, object, detail string) {
	if err := s.ledger.AddAudit(context.Background(), ledger.Audit{Time: s.Now(), Actor: k.Actor(), Action: action, Object: object, Detail: detail}); err != nil {
		s.Log.Error("the audit log cannot be written", "error", err)
	}
}

// openNatives makes the native faces. Their addresses follow the rules of the main one.
// A face may act as one key for everybody ("as"), because ComfyUI's own clients send none; that is allowed on loopback only.
func (s *Service) openNatives() error {
	for _, n := range s.Config.Native {
		if s.Queue.Pool(n.Pool) == nil {
			return fmt.Errorf("native: there is no pool %q", n.Pool)
		}
		open, err := loopback(n.Address)
		if err != nil {
			return err
		}
		if !open && (n.As != "" || s.Ring.Empty(context.Background())) {
			// "as" on a public address would be a key for everybody.
			return fmt.Errorf("native %s: %s is not loopback: there, keys are needed", n.Pool, n.Address)
		}
		f := &native.Face{Queue: s.Queue, Ledger: s.ledger, Pool: n.Pool, Dir: filepath.Join(s.Dir, "native", n.Pool), Catalogue: s.Catalogue, ObjectInfo: s.ObjectInfo, Now: s.Now, Log: s.Log}
		f.Site = &web.Site{Routes: f.Routes(), Guard: web.Guard{Loopback: open, Hosts: s.Config.Hosts, Proxies: s.Config.Proxies}, Ring: s.Ring, MaxBody: s.Config.MaxBody, Log: s.Log,
			Metrics: s.metrics, Audit: s.audit, Tracer: s.tracer, Now: s.Now}
		if n.As != "" { // looked up at each request: a key that is revoked closes the face
			f.Site.As = func() *keys.Key { return s.Ring.ByName(n.As) }
		}
		f.Address = n.Address
		s.natives = append(s.natives, f)
	}
	return nil
}

// Serve listens and works until ctx ends, then drains. It closes the ledger.
// Returned errors are those of listening or of the queue; a normal end is nil. The order of the end: no new requests, streams
// end, works stop and leave remote jobs, webhooks stop, spans are sent, the ledger closes.
func (s *Service) Serve(ctx context.Context) error {
	defer s.Close()
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	if s.tracer != nil { // to the very end, as all that ends is told
		told, end := context.WithCancel(context.Background())
		var sends sync.WaitGroup
		sends.Go(func() { s.tracer.Run(told) })
		defer sends.Wait()
		defer end()
	}
	// Works live in a context of their own: they must not end when ctx does, but after the requests that wait for them.
	work, stop := context.WithCancel(context.Background())
	defer stop()
	var tasks sync.WaitGroup
	failed := make(chan error, len(listeners)+1) // room for every sender, so that none of them waits for ever
	tasks.Go(func() { s.courier.Run(work) })
	tasks.Go(func() { failed <- s.Queue.Run(work) })
	for _, l := range listeners {
		tasks.Go(func() {
			if err := l.site.Serve(l.Listener); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	// Only now: all addresses accept connections.
	if s.Ready != nil {
		s.Ready(base(listeners[0].Listener, s.Config.Cert != ""))
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.Log.Info("draining")
	// The time is for all listeners together.
	down, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, l := range listeners {
		if e := l.site.Shutdown(down); e != nil {
			s.Log.Warn("requests were cut off", "error", e)
		}
	}
	stop() // after the last request: it might have submitted a work
	tasks.Wait()
	return err
}

// listener is an address with what is served there.
type listener struct {
	net.Listener
	site *web.Site
}

// listen opens all addresses, or none.
// An address that is taken, or a certificate that cannot be read, ends the start before anything runs.
func (s *Service) listen() (out []listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range out {
				l.Close()
			}
		}
	}()
	add := func(address string, site *web.Site) error {
		ln, err := s.Listen("tcp", address)
		if err == nil && s.Config.Cert != "" {
			var pair tls.Certificate
			if pair, err = tls.LoadX509KeyPair(s.Config.Cert, s.Config.Key); err != nil {
				ln.Close()
				return fmt.Errorf("tls: %w", err)
			}
			// HTTP/2 is not offered: fasthttp speaks HTTP/1.1 only.
			ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
		}
		if err == nil {
			out = append(out, listener{ln, site})
		}
		return err
	}
	if err = add(s.Address, s.site); err != nil {
		return nil, err
	}
	for _, f := range s.natives {
		if err = add(f.Address, f.Site); err != nil {
			return nil, fmt.Errorf("native %s: %w", f.Pool, err)
		}
	}
	return out, nil
}

// base writes a listener's address as a URL.
func base(ln net.Listener, secure bool) string {
	if secure {
		return "https://" + ln.Addr().String()
	}
	return "http://" + ln.Addr().String()
}
