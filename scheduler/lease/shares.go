package lease

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler"
)

// Two tables are behind it. limits has a row for each thing that is shared: its places, how many are granted, its bucket of submits, its pause and
// breaker. grants has a row for each limit and slice: places had and wanted. The sum of the grants is the limit's granted, and never rises above
// places by any UPDATE here, whatever the slices decide at the same time.

// trader implements scheduler.Shares for one held slice. It looks at what the others have and want, without a lock, decides what would be fair, and
// takes or gives back the difference by conditional UPDATEs, all in one round trip. If somebody was quicker, a part of it
// fails, and the next trade sees why.
type trader struct {
	h           *hold
	batchPlaces int        // of max-parallel, 0 for no bound
	parallel    func() int // tells it anew; may be nil
	budget      *float64
}

// unlimited stands for no bound.
// The SQL below knows the number as 1073741824.
const unlimited = 1 << 30

// standing is how a limit stands.
type standing struct {
	name   string
	mine   int   // places that this slice has
	others []int // places that the others want, or have, who are not run now
	idle   bool  // a slice that nobody runs now has places
	sum    int   // places granted, mine included
	pause  float64
}

// line is what a slice wants of one limit.
type line struct {
	// Of one endpoint: how many jobs it may run for all slices together, how many this slice has there now and would like to have, how many submits it
	// would like to make, and at most how many are allowed in 10 s. pause is in seconds.
	name            string
	places          int // of all
	held, wanted    int
	submits, per10s int
	pause           float64
	open, worked    bool
	code, reason    string
}

// lines lists the limits that a trade is about: one for each endpoint, the batch's own last. By name, so that two trades lock rows in one order.
func (t *trader) lines(want scheduler.Want) []line {
	var out []line
	for _, ep := range want.Endpoints {
		out = append(out, line{name: "endpoint " + ep.Name, places: ep.Limits.InFlight, held: ep.InFlight, wanted: max(ep.Places, ep.InFlight), submits: ep.Submits,
			per10s: ep.Limits.SubmitPer10s, pause: ep.Pause.Seconds(), open: ep.Open, worked: ep.Worked, code: ep.Code, reason: ep.Reason})
	}
	if t.parallel != nil {
		t.batchPlaces = t.parallel()
	}
	if t.batchPlaces > 0 {
		out = append(out, line{name: "batch " + t.h.Batch, places: t.batchPlaces, held: want.InFlight, wanted: max(want.Parallel, want.InFlight)})
	}
	return out
}

// Trade implements scheduler.Shares.
func (t *trader) Trade(ctx context.Context, want scheduler.Want) (g scheduler.Grant, err error) {
	// Two round trips: look reads, send writes. What changed between the two is caught by the conditions of the UPDATEs.
	lines := t.lines(want)
	stands, money, err := t.look(ctx, lines)
	if err != nil {
		return g, err
	}
	g.USD, g.Broke = money.grant(&want)
	b := &pgx.Batch{}
	t.h.guard(b)
	// Rows are locked in the order of their names, the same in every trade: two trades can wait for each other, but not in a circle.
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compare(lines[a].name, lines[b].name) })
	targets := make([]int, len(lines))
	for _, i := range order {
		targets[i] = lines[i].target(&stands[i])
		t.queue(b, &lines[i], &stands[i], targets[i])
	}
	if t.budget != nil {
		t.h.queue(b, takeMoney, g.USD-money.mine, want.SpentUSD)
	}
	taken, err := t.send(ctx, b, len(lines), order)
	if err != nil {
		return g, err
	}
	g = t.answer(&want, lines, stands, targets, taken, money, g)
	t.h.starve(starving(&want, &g, stands, money))
	return g, nil
}

// starving tells whether a slice can do nothing because others, which nobody runs now, hold what it needs: their jobs are on remotes, and
// somebody has to look after them first.
func starving(want *scheduler.Want, g *scheduler.Grant, stands []standing, money *purse) bool {
	if want.InFlight > 0 || want.Parallel == 0 {
		return false
	}
	idle := money.idle
	places := 0
	for i := range stands {
		idle = idle || stands[i].idle
		if i < len(g.Endpoints) {
			places += g.Endpoints[i].Places
		}
	}
	// A billionth of a dollar is left to the rounding of sums.
	poor := want.JobUSD > 0 && g.USD < want.HeldUSD+want.JobUSD-1e-9
	return idle && (places == 0 || g.Parallel == 0 || poor)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// target is how many places a slice is to have: what it wants, as far as all want fits; else its fair part. Never less than it holds,
// nor more than is free.
func (l *line) target(s *standing) int {
	// No bound is known: everybody gets what he wants.
	if l.places >= unlimited || l.places <= 0 {
		return l.wanted
	}
	n := min(l.wanted, fairPart(l.places, l.wanted, s.others))
	free := max(0, l.places-(s.sum-s.mine))
	return max(l.held, min(n, free))
}

// fairPart divides places among those who want some, so that nobody gets more than he wants, and nobody who wants more gets less than another.
//
// From the least wish upwards: a wish below an equal part is granted in full and leaves more for the rest. Of 10 places, with wishes of 2, 9 and
// 9, the parts are 2, 4 and 4. At least one is given, so that more slices than places still take turns.
func fairPart(places, mine int, others []int) int {
	all := append(slices.Clone(others), mine)
	slices.Sort(all)
	for i, w := range all {
		part := places / (len(all) - i)
		if w >= part { // all that follow want at least as much
			return max(part, 1)
		}
		if w == mine {
			return mine
		}
		places -= w
	}
	return mine
}

// look reads how the limits and the money stand, after making the rows that are missing. No lock is held when it returns: what it read may be
// out of date when it is used. elsewhere is what other slices have and have not spent, idle whether one that nobody runs has some of it.
func (t *trader) look(ctx context.Context, lines []line) ([]standing, *purse, error) {
	names := make([]string, len(lines))
	places := make([]int64, len(lines))
	for i, l := range lines {
		names[i], places[i] = l.name, int64(l.places)
	}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO limits (name, places) SELECT * FROM unnest($1::text[], $2::bigint[]) AS l(name, places) WHERE NOT EXISTS (SELECT 1 FROM limits o WHERE o.name = l.name AND o.places = l.places)
		ORDER BY 1 ON CONFLICT (name) DO UPDATE SET places = excluded.places`, names, places)
	b.Queue(`INSERT INTO grants (name, batch, slice, places, wanted) SELECT name, $2, $3, 0, 0 FROM unnest($1::text[]) AS l(name) ON CONFLICT DO NOTHING`, names, t.h.Batch, t.h.Slice)
	b.Queue(`SELECT l.name, l.granted, GREATEST(0, EXTRACT(EPOCH FROM l.until - clock_timestamp()))::float8, g.batch = $2 AND g.slice = $3, g.places, g.wanted, s.state <> 'held'
		FROM limits l JOIN grants g USING (name) JOIN slices s USING (batch, slice)
		WHERE l.name = ANY($1) AND (g.wanted > 0 OR g.places > 0 OR g.batch = $2 AND g.slice = $3)`, names, t.h.Batch, t.h.Slice)
	money := &purse{budget: t.budget}
	if t.budget != nil {
		b.Queue(`SELECT b.granted, s.granted, (SELECT COALESCE(SUM(o.granted - o.spent), 0) FROM slices o WHERE o.batch = b.id AND o.slice <> s.slice),
				EXISTS (SELECT 1 FROM slices o WHERE o.batch = b.id AND o.state = 'free' AND o.granted > o.spent + 1e-9)
			FROM batches b JOIN slices s ON s.batch = b.id WHERE b.id = $1 AND s.slice = $2`, t.h.Batch, t.h.Slice)
	}
	results := t.h.db().Pool.SendBatch(ctx, b)
	defer results.Close()
	// The answers come in the order of the questions: two inserts, the standings, the money.
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return nil, nil, err
		}
	}
	stands, err := readStandings(results, lines)
	if err == nil && t.budget != nil {
		err = results.QueryRow().Scan(&money.granted, &money.mine, &money.elsewhere, &money.idle)
	}
	if err == nil {
		err = results.Close()
	}
	return stands, money, err
}

// readStandings sorts the grants of a limit into this slice's own and the others'.
func readStandings(results pgx.BatchResults, lines []line) ([]standing, error) {
	stands := make([]standing, len(lines))
	byName := map[string]*standing{}
	for i := range lines {
		stands[i].name = lines[i].name
		byName[lines[i].name] = &stands[i]
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	var name string
	var sum, places, wanted int
	var pause float64
	var mine, idle bool
	_, err = pgx.ForEachRow(rows, []any{&name, &sum, &pause, &mine, &places, &wanted, &idle}, func() error {
		s := byName[name]
		s.sum, s.pause = sum, pause
		switch {
		case mine:
			s.mine = places
		// Nobody runs it, so it wants nothing now; what it has is taken by its jobs on the remote until its next owner comes.
		case idle:
			s.others = append(s.others, places)
			s.idle = s.idle || places > 0
		default:
			s.others = append(s.others, max(wanted, places))
		}
		return nil
	})
	return stands, err
}

// queue puts the updates of one limit into a batch: places, submits and news.
func (t *trader) queue(b *pgx.Batch, l *line, s *standing, target int) {
	t.h.queue(b, takePlaces, l.name, target-s.mine, l.wanted)
	// The bucket takes half a second's worth at once and fills with what is left of the 10 s, so that not even a full bucket at the start of any 10 s
	// lets more through than the limit: burst + 10·rate = per10s, from 2 on. With 1000 per 10 s: 50 at once, and 95 a second.
	burst := max(1, l.per10s/20)
	rate := max(float64(l.per10s-burst), 1) / 10
	runs := len(s.others) + 1
	submits := l.submits
	if l.per10s > 0 && l.per10s < unlimited { // a second's part, so that no slice takes all
		submits = min(submits, int(rate)/runs+1)
	}
	t.h.queue(b, takeSubmits, l.name, submits, float64(burst), rate, l.per10s <= 0 || l.per10s >= unlimited, l.pause, l.open, l.worked, l.code, l.reason)
}

// send carries the updates out and gives how many places and submits each line got: taken[i] is 1 or 0 for the places, since the row was changed or
// not, and the number of submits. One more element at the end says that the money was not to be had. Errors: a slice that was taken over, else
// the database's.
func (t *trader) send(ctx context.Context, b *pgx.Batch, n int, order []int) ([][2]int, error) {
	results := t.h.db().Pool.SendBatch(ctx, b)
	defer results.Close()
	// The guard comes first: if it touches no row, no other statement of the batch does, as all of them ask for the lease.
	if tag, err := results.Exec(); err != nil {
		return nil, err
	} else if tag.RowsAffected() == 0 {
		t.h.lose()
		return nil, fmt.Errorf("%s was taken over", t.h.Lease)
	}
	taken := make([][2]int, n)
	for _, i := range order {
		tag, err := results.Exec()
		if err != nil {
			return nil, err
		}
		taken[i][0] = int(tag.RowsAffected())
		if err := results.QueryRow().Scan(&taken[i][1]); err != nil {
			return nil, err
		}
	}
	if t.budget != nil {
		tag, err := results.Exec()
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 0 {
			taken = append(taken, [2]int{})
		}
	}
	return taken, results.Close()
}

// answer makes the grant of what was got.
func (t *trader) answer(want *scheduler.Want, lines []line, stands []standing, targets []int, taken [][2]int, money *purse, g scheduler.Grant) scheduler.Grant {
	// The batch's own line, if there is one, is the last, behind those of the endpoints.
	g.Parallel = unlimited
	for i := range lines {
		places := stands[i].mine
		if taken[i][0] > 0 {
			places = targets[i]
		}
		if i == len(want.Endpoints) {
			g.Parallel = places
			break
		}
		g.Endpoints = append(g.Endpoints, scheduler.EndpointGrant{Places: places, Submits: taken[i][1], Pause: seconds(stands[i].pause), Runs: len(stands[i].others) + 1})
	}
	// It goes on with what it has, and asks again at the next trade.
	if len(taken) > len(lines) { // somebody else took the money
		g.USD, g.Broke = money.mine, false
	}
	return g
}

// takePlaces changes a slice's places, if as many are free. Arguments from $4: name, difference, wanted. Both rows change, or none: the second UPDATE
// depends on the first one's. Giving back (a difference of 0 or less) is always possible. The cap on jobs holds by this statement alone.
const takePlaces = `WITH l AS (UPDATE limits SET granted = granted + $5 WHERE name = $4 AND ($5 <= 0 OR granted + $5 <= places OR places <= 0 OR places >= 1073741824) AND ` + mine + ` RETURNING 1)
	UPDATE grants SET places = places + $5, wanted = $6 WHERE name = $4 AND batch = $1 AND slice = $2 AND EXISTS (SELECT 1 FROM l)`

// takeSubmits takes submits out of the limit's bucket, which fills with time, and tells the news. A pause that somebody met is kept if it is longer
// than the one that is there; a submit that worked closes the breaker for all. While the breaker is open, one submit in
// two seconds probes. Arguments from $4: name, wanted, burst, per second, no bound, pause, open, worked, code, reason.
const takeSubmits = `UPDATE limits SET
		taken = CASE WHEN ` + stopped + ` THEN 0 WHEN open THEN LEAST($5::bigint, 1) WHEN $8 THEN $5::bigint ELSE LEAST($5::bigint, FLOOR(` + bucket + `)::bigint) END,
		tokens = GREATEST(0, ` + bucket + ` - CASE WHEN ` + stopped + ` OR $8 THEN 0 ELSE LEAST($5::bigint, FLOOR(` + bucket + `)) END), filled = clock_timestamp(),
		until = CASE WHEN $9::float8 > 0 THEN GREATEST(until, clock_timestamp() + make_interval(secs => $9::float8)) WHEN open AND NOT $11 AND $5::bigint > 0 AND until <= clock_timestamp() THEN clock_timestamp() + interval '2 s' ELSE until END,
		open = (open AND NOT $11) OR $10, code = CASE WHEN $11 THEN '' WHEN $9::float8 > 0 THEN $12 ELSE code END, reason = CASE WHEN $11 THEN '' WHEN $9::float8 > 0 THEN $13 ELSE reason END
	WHERE name = $4 AND ` + mine + ` RETURNING taken`

const (
	// stopped is true during a pause, the one that is just being told included. bucket is how many submits are in the bucket now, a fraction
	// included: at most $6, filled by $7 a second since it was last looked at.
	stopped = `($9::float8 > 0 OR until > clock_timestamp())`
	bucket  = `LEAST($6::float8, tokens + $7::float8 * LEAST(1000000, GREATEST(0, EXTRACT(EPOCH FROM clock_timestamp() - filled)))::float8)`
)

// takeMoney changes a slice's part of the budget, if as much is left. Arguments from $4: difference, spent. This condition is what keeps all slices
// together within the budget: money is granted before anything is reserved from it, and reserved before a submit.
const takeMoney = `WITH b AS (UPDATE batches SET granted = granted + $4::float8 WHERE id = $1 AND ($4::float8 <= 0 OR granted + $4::float8 <= budget + 1e-9) AND ` + mine + ` RETURNING 1)
	UPDATE slices SET granted = granted + $4::float8, spent = $5 WHERE batch = $1 AND slice = $2 AND EXISTS (SELECT 1 FROM b)`

// purse is how a batch's money stands.
type purse struct {
	budget        *float64
	granted, mine float64 // of all, and of this slice
	elsewhere     float64 // what other slices have and have not spent
	idle          bool    // a slice that nobody runs now has some of it
}

// grant decides how much a slice is to have: what it wants, or what is left; but only if that is enough for a job, else it gives back what
// it does not hold, so that no two slices keep from each other what one could use. broke tells that nothing is left to wait for.
func (p *purse) grant(want *scheduler.Want) (usd float64, broke bool) {
	if p.budget == nil {
		return unlimited, false
	}
	// A retry may have lowered the budget below what is granted already; then nothing is free, and what was granted stays.
	free := max(0, *p.budget-p.granted)
	usd = min(want.USD, p.mine+free)
	if usd < want.HeldUSD+want.JobUSD-1e-9 {
		usd = want.HeldUSD // a job that took longer than was thought may be above what was granted
		broke = p.elsewhere <= 1e-9
	}
	return usd, broke
}
