package figures

import (
	"runtime"
	"runtime/metrics"
	"strings"
)

// memory are figures of Go's runtime that this package gives on, under the names that dashboards for Go programs know.
// Those that end in _total only grow.
var memory = []struct{ name, help, from string }{
	{"go_memstats_alloc_bytes", "Bytes of objects on the heap.", "/memory/classes/heap/objects:bytes"},
	{"go_memstats_heap_objects", "Objects on the heap.", "/gc/heap/objects:objects"},
	{"go_memstats_sys_bytes", "Bytes that the runtime has of the system.", "/memory/classes/total:bytes"},
	{"go_memstats_next_gc_bytes", "Size of the heap at which the next collection begins.", "/gc/heap/goal:bytes"},
	{"go_sched_gomaxprocs_threads", "Threads that may run Go code at once.", "/sched/gomaxprocs:threads"},
	{"go_goroutines", "Goroutines there are.", "/sched/goroutines:goroutines"},
	{"go_memstats_alloc_bytes_total", "Bytes ever taken from the heap.", "/gc/heap/allocs:bytes"},
	{"go_memstats_mallocs_total", "Objects ever made on the heap.", "/gc/heap/allocs:objects"},
	{"go_gc_cycles_total", "Garbage collections that have ended.", "/gc/cycles/total:gc-cycles"},
}

// Process adds the figures of Go's runtime and of this process: memory, goroutines and, where the system tells them, CPU time and files.
func (s *Set) Process() {
	samples := make([]metrics.Sample, len(memory))
	set := make([]func(float64, ...string), len(memory))
	for i, m := range memory {
		samples[i].Name = m.from
		if strings.HasSuffix(m.name, "_total") {
			set[i] = s.Counter(m.name, m.help).Set
		} else {
			set[i] = s.Gauge(m.name, m.help).Set
		}
	}
	s.Gauge("go_info", "The release of Go that the program was built with.", "version").Set(1, runtime.Version())
	s.Before(func() {
		metrics.Read(samples)
		for i := range samples {
			if samples[i].Value.Kind() == metrics.KindUint64 { // a figure that a later Go has no more is left out
				set[i](float64(samples[i].Value.Uint64()))
			}
		}
	})
	s.system()
}
