// Package figures counts what a service does and writes it as Prometheus reads it: the text format, version 0.0.4.
//
// It is as much of a metrics client as one service needs: counters, gauges and histograms with at most [maxLabels] labels, and the figures of
// the process itself ([Set.Process]). There are no summaries, no push, no binary form. What Prometheus' own client has beyond that is 2.5 MB of a binary.
//
// A [Set] is a list of families; [Set.Counter], [Set.Gauge] and [Set.Histogram] add one each, and two services in one process have two sets. A
// family has one series for each combination of label values that it has seen, and none is ever dropped: callers must take labels from what is
// bounded, such as the routes that are declared and the names of the configuration, and never from a request.
//
// Families may be used from many goroutines at once. Functions given to [Set.Before] run one scrape at a time. A family is made once, at the
// start: a name that is taken, or wrong, is a bug and panics.
package figures
