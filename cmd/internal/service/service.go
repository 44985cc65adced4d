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
	"strings"
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
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// Options say what is served, and with what. Dir and Address are needed.
type Options struct {
	Dir           string // the data folder; replicas share one
	Address       string // host and port to listen on
	Postgres      string // address of the ledger that replicas share, "" for SQLite in Dir
	Config        Config
	Endpoints     []compiler.EndpointConfig
	EndpointsFile string // that Endpoints were read from
	Catalogue     *nodes.Catalogue
	ObjectInfo    []byte // the snapshot that Catalogue was read from, nil for the built-in one
	Scripts       script.Options
	Getenv        func(string) string // os.Getenv if nil
	Log           *slog.Logger        // nothing is logged if nil
	Now           func() time.Time    // time.Now if nil
	// Listen opens a listener; net.Listen if nil.
	Listen func(network, address string) (net.Listener, error)
	// Ready is told the base address when the service answers. May be nil.
	Ready func(base string)
}

// Service is one process of it.
type Service struct {
	Options
	Queue   *queue.Queue
	Ring    *keys.Ring
	ledger  *ledger.Ledger
	courier *outgoing.Courier
	metrics *web.Metrics
	site    *web.Site
	natives []*native.Face
	open    bool // Address is loopback
}

// drainTime is how long requests under way, and then works, may take to stop.
const drainTime = 30 * time.Second

// Open makes a service ready. Nothing is listened on yet.
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
	if o.Catalogue == nil {
		o.Catalogue = nodes.BuiltIn()
	}
}

// build opens everything in the order in which it depends on each other. What was opened before an error is closed by Close.
func (s *Service) build(ctx context.Context) (err error) {
	if s.ledger, err = OpenLedger(s.Dir, s.Postgres); err != nil {
		return err
	}
	if s.Ring, err = keys.Open(ctx, s.ledger, s.Now); err != nil {
		return err
	}
	box, err := seal.New(s.Getenv(seal.Variable))
	if err != nil {
		return err
	}
	s.courier = &outgoing.Courier{Ledger: s.ledger, Box: box, Secret: s.Ring.WebhookSecret, Log: s.Log, Now: s.Now}
	s.courier.Start(s.Config.AllowHosts)
	ends := s.Config.fill(s.Endpoints)
	host, _ := os.Hostname()
	s.Queue, err = queue.New(queue.Config{Dir: s.Dir, Ledger: s.ledger, Ring: s.Ring, Courier: s.courier, Box: box, Catalogue: s.Catalogue, Endpoints: ends,
		EndpointsFile: s.EndpointsFile, Pools: s.Config.Pools, Getenv: s.Getenv, Scripts: s.Scripts, Replica: host + "-" + queue.NewID(s.Now())[:16], Log: s.Log, Now: s.Now,
		MaxBatches: s.Config.MaxBatches, MaxRenders: s.Config.MaxRenders, KeepBatch: s.Config.KeepBatch, KeepJob: s.Config.KeepJob})
	if err != nil {
		return err
	}
	if s.open, err = loopback(s.Address); err != nil {
		return err
	}
	if !s.open && s.Ring.Empty(ctx) {
		return fmt.Errorf("%s is not loopback, and there are no keys: everybody who reaches it could spend your money. Make a key first: comfyc keys add NAME", s.Address)
	}
	s.metrics = web.NewMetrics()
	s.metrics.Registry.MustRegister(newGauges(s.Queue))
	s.site = &web.Site{Routes: s.routes(), Guard: web.Guard{Loopback: s.open, Hosts: s.Config.Hosts, Origins: s.Config.Origins, Proxies: s.Config.Proxies}, Ring: s.Ring,
		MaxBody: s.Config.MaxBody, Log: s.Log, Metrics: s.metrics, Audit: s.audit, Now: s.Now}
	return s.openNatives()
}

// OpenLedger opens the ledger of a data folder, or the one on Postgres that replicas share.
func OpenLedger(dir, postgres string) (*ledger.Ledger, error) {
	if postgres != "" {
		return ledger.OpenPostgres(postgres)
	}
	return ledger.Open(dir)
}

// loopback tells whether an address is reached from this machine only.
func loopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("the address %q is no HOST:PORT", address)
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback(), nil
}

// Close frees what Open opened, if Serve was not called.
func (s *Service) Close() error {
	if s.Queue != nil {
		s.Queue.Close()
	}
	if s.ledger == nil {
		return nil
	}
	return s.ledger.Close()
}

//go:embed openapi.json
var openapi []byte

// Describe is the service's OpenAPI document.
func Describe() []byte { return openapi }

// routes lists all that is served on the main address.
func (s *Service) routes() []web.Route {
	own := &api.API{Queue: s.Queue, Ledger: s.ledger, Ring: s.Ring, Now: s.Now}
	face := &compat.Face{Queue: s.Queue}
	s.Queue.Payload = face.Payload
	routes := []web.Route{
		{Method: "GET", Path: "/healthz", Handle: func(c *web.Call) { c.JSON(200, map[string]string{"status": "ok"}) }, Quick: true},
		{Method: "GET", Path: "/readyz", Handle: s.ready, Quick: true},
		{Method: "GET", Path: "/metrics", Scope: keys.Read, Handle: s.metrics.Serve(), Quick: true},
		{Method: "GET", Path: "/openapi.json", Handle: func(c *web.Call) { c.Text(200, web.JSON, openapi) }},
	}
	routes = append(routes, page.Routes()...)
	routes = append(routes, own.Routes()...)
	return append(routes, face.Routes()...)
}

// ready is GET /readyz: whether requests can be taken.
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
func (s *Service) audit(k *keys.Key, action, object, detail string) {
	name := ""
	if k != nil {
		name = strings.TrimSpace(k.ID + " " + k.Name)
	}
	if err := s.ledger.AddAudit(context.Background(), ledger.Audit{Time: s.Now(), Actor: name, Action: action, Object: object, Detail: detail}); err != nil {
		s.Log.Error("the audit log cannot be written", "error", err)
	}
}

// openNatives makes the native faces. Their addresses follow the rules of the main one.
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
			return fmt.Errorf("native %s: %s is not loopback: there, keys are needed", n.Pool, n.Address)
		}
		f := &native.Face{Queue: s.Queue, Ledger: s.ledger, Pool: n.Pool, Dir: filepath.Join(s.Dir, "native", n.Pool), Catalogue: s.Catalogue, ObjectInfo: s.ObjectInfo, Now: s.Now, Log: s.Log}
		f.Site = &web.Site{Routes: f.Routes(), Guard: web.Guard{Loopback: open, Hosts: s.Config.Hosts, Proxies: s.Config.Proxies}, Ring: s.Ring, MaxBody: s.Config.MaxBody, Log: s.Log, Now: s.Now}
		if n.As != "" {
			f.Site.As = func() *keys.Key { return s.Ring.ByName(n.As) }
		}
		f.Address = n.Address
		s.natives = append(s.natives, f)
	}
	return nil
}

// Serve listens and works until ctx ends, then drains. It closes the ledger.
func (s *Service) Serve(ctx context.Context) error {
	defer s.Close()
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(context.Background())
	defer stop()
	var tasks sync.WaitGroup
	failed := make(chan error, len(listeners)+1)
	tasks.Go(func() { s.courier.Run(work) })
	tasks.Go(func() { failed <- s.Queue.Run(work) })
	for _, l := range listeners {
		tasks.Go(func() {
			if err := l.site.Serve(l.Listener); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	if s.Ready != nil {
		s.Ready(base(listeners[0].Listener, s.Config.Cert != ""))
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.Log.Info("draining")
	down, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, l := range listeners {
		if e := l.site.Shutdown(down); e != nil {
			s.Log.Warn("requests were cut off", "error", e)
		}
	}
	stop()
	tasks.Wait()
	return err
}

// listener is an address with what is served there.
type listener struct {
	net.Listener
	site *web.Site
}

// listen opens all addresses, or none.
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
