package native

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/scheduler"
)

// ear is one websocket.
// Messages wait in send; a client that does not read is cut off when it is full.
type ear struct {
	client string // its clientId, by which it hears of its own prompts
	key    *keys.Key
	send   chan []byte // dropped messages end the connection
	once   sync.Once
	gone   chan struct{} // closed when it ends, for whatever reason
}

// close ends a listener, from any goroutine and any number of times.
func (e *ear) close() { e.once.Do(func() { close(e.gone) }) }

// ears are the websockets of one face.
// The list is short and walked for each message; it is copied under the lock, so nothing is sent with it held.
type ears struct {
	mu   sync.Mutex
	list []*ear
}

// Bounds for each face.
const (
	maxEars      = 2000 // websockets
	earBacklog   = 256  // messages for one of them
	writeTime    = 10 * time.Second
	pingEvery    = 20 * time.Second // proxies close silent connections after about a minute
	maxHeard     = 64 << 10         // bytes of one message from a client
	narrateAtAll = 24 * time.Hour   // how long a prompt is followed
)

// socket is GET /ws?clientId=….
// 429 above maxEars. A clientId may be used by several connections: all of them hear.
func (f *Face) socket(c *web.Call) {
	e := &ear{client: c.Query("clientId"), key: c.Key, send: make(chan []byte, earBacklog), gone: make(chan struct{})}
	if e.client == "" {
		e.client = queue.NewID(f.Now())
	}
	f.ears.mu.Lock()
	full := len(f.ears.list) >= maxEars
	if !full {
		f.ears.list = append(f.ears.list, e)
	}
	f.ears.mu.Unlock()
	if full {
		c.Problem(429, "too_many_listeners", "too many clients listen")
		return
	}
	stop := c.Ctx                      // ends when the service stops
	up := websocket.FastHTTPUpgrader{} // its own check holds Origin against Host; the gate has done so before
	err := up.Upgrade(c.RequestCtx, func(conn *websocket.Conn) { f.listen(stop, conn, e) })
	if err != nil {
		f.forget(e)
	}
}

// forget takes a listener off the list.
// It may be called twice for one ear.
func (f *Face) forget(e *ear) {
	e.close()
	f.ears.mu.Lock()
	defer f.ears.mu.Unlock()
	f.ears.list = slices.DeleteFunc(f.ears.list, func(other *ear) bool { return other == e })
}

// listen serves one websocket until it ends.
// Two goroutines for each socket: this one writes, the other reads and finds out when the client has gone.
func (f *Face) listen(stop context.Context, conn *websocket.Conn, e *ear) {
	defer conn.Close()
	defer f.forget(e)
	conn.SetReadLimit(maxHeard)
	go func() { // what clients say is their feature flags; reading shows when they have gone
		defer e.close()
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	f.tell(e, "status", map[string]any{"status": f.status(e.key), "sid": e.client})
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		kind, text := websocket.TextMessage, []byte(nil) // nil text is the ping's
		select {
		case <-stop.Done():
			return
		case <-e.gone:
			return
		case text = <-e.send:
		case <-ping.C:
			kind = websocket.PingMessage
		}
		if conn.SetWriteDeadline(time.Now().Add(writeTime)) != nil || conn.WriteMessage(kind, text) != nil {
			return
		}
	}
}

// status is the data of a status message: how much the client itself still waits for.
// Waiting and running ones together.
func (f *Face) status(k *keys.Key) map[string]any {
	return map[string]any{"exec_info": map[string]int{"queue_remaining": f.left(k)}}
}

// tell sends a message; a listener that is far behind is cut off.
// It never blocks: one slow client must not hold back the others.
func (f *Face) tell(e *ear, kind string, data any) {
	text, err := json.Marshal(map[string]any{"type": kind, "data": data})
	if err != nil {
		panic("a message cannot be written: " + err.Error())
	}
	select {
	case e.send <- text:
	default:
		e.close()
	}
}

// each gives the listeners that may hear of an owner's job: those with its client id, or all.
// Owner and client must both fit: ids of clients are chosen by them and could be guessed. An admin's key hears of all.
func (f *Face) each(owner, client string, all bool, do func(*ear)) {
	f.ears.mu.Lock()
	list := slices.Clone(f.ears.list)
	f.ears.mu.Unlock()
	for _, e := range list {
		if (e.key.ID == owner || e.key.May(keys.Admin)) && (all || e.client == client) {
			do(e)
		}
	}
}

// narrate tells the story of a job to those who listen, from its start to its end.
// It knows when a job starts and ends, and the progress that its remote tells; what stands between is said as a real server
// would say it of the first output node. It ends with the job, and at the latest after a day.
func (f *Face) narrate(ctx context.Context, id, client string, nodes []string) {
	ctx, cancel := context.WithTimeout(ctx, narrateAtAll)
	defer cancel()
	w, err := f.Queue.Get(ctx, id)
	if err != nil {
		return
	}
	say := func(kind string, data map[string]any) {
		data["prompt_id"] = id
		f.each(w.Owner, client, client == "", func(e *ear) { f.tell(e, kind, data) })
	}
	everybody := func() {
		f.each(w.Owner, "", true, func(e *ear) { f.tell(e, "status", map[string]any{"status": f.status(e.key)}) })
	}
	everybody()
	node := ""
	if len(nodes) > 0 {
		node = nodes[0]
	}
	// Events that came before are told as well: the job may have begun before this goroutine.
	err = f.Queue.Follow(ctx, id, 0, time.Minute, func(e *ledger.Event) error {
		if e == nil {
			return nil
		}
		var s struct {
			State ledger.State `json:"state"`
		}
		switch e.Kind {
		case "state":
			if json.Unmarshal([]byte(e.Data), &s) == nil && s.State == ledger.Running {
				say("execution_start", map[string]any{"timestamp": e.Time.UnixMilli()})
				say("execution_cached", map[string]any{"nodes": []string{}, "timestamp": e.Time.UnixMilli()})
				say("executing", map[string]any{"node": node, "display_node": node})
			}
		case "attempt":
			var a scheduler.AttemptEvent
			if json.Unmarshal([]byte(e.Data), &a) == nil && a.Progress > 0 {
				say("progress", map[string]any{"value": int(a.Progress * 100), "max": 100, "node": node})
			}
		}
		return nil
	})
	if err != nil {
		return
	}
	if w, err = f.Queue.Get(ctx, id); err != nil || !w.State.Final() {
		return
	}
	now := f.Now().UnixMilli()
	switch w.State {
	case ledger.Done:
		for id, output := range saved(w) {
			say("executed", map[string]any{"node": id, "display_node": id, "output": output})
		}
		say("execution_success", map[string]any{"timestamp": now})
	case ledger.Cancelled:
		say("execution_interrupted", map[string]any{"timestamp": now, "node_id": "", "node_type": "", "executed": []string{}})
	default:
		say("execution_error", map[string]any{"timestamp": now, "node_id": "", "node_type": "", "executed": []string{}, "exception_message": w.Error, "exception_type": "RemoteError", "traceback": []string{}})
	}
	everybody()
	say("executing", map[string]any{"node": nil}) // the sign for "nothing runs" by which old clients end
}
