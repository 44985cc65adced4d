// Package view shows workflows to people: drawn as DOT, Mermaid, SVG or JSON, and compared by meaning.
//
// New makes a View of a graph as the package graph built it, whatever was found wrong: bad nodes are marked, links of unknown classes are
// followed, cycles are cut where they close. A View is plain data. The functions of the list [Formats] write it; the same workflow gives the
// same bytes. The SVG stands alone: no script, no font and no picture from elsewhere, and every text in it is escaped.
//
// Diff compares two views. Nodes are matched by what they do and by what is around them; ids and titles only decide between nodes that are
// equal otherwise.
//
// Concurrency: functions use only their arguments and start no goroutines; a View is read-only once made.
//
// Limits: time and memory grow linearly with nodes and links (the layout keeps at most 8 bends for each node and draws the longest links
// straight beyond that; the matching looks at a bounded number of candidates for each node). Texts are cut in the drawings, never in JSON,
// and what looks like a key or a token is not shown at all. No walk along links is recursive.
package view
