package emulator

import (
	"math/rand/v2"
	"testing"
)

func TestVaultOrder(t *testing.T) {
	v := vault{limit: 1000, fetched: 1000}
	put := func() *blob { return v.put(make([]byte, 136)) } // 200 with what it costs to know of it
	a, b, c, d, e := put(), put(), put(), put(), put()
	v.release(c)
	v.release(a)
	put()
	for name, want := range map[*blob]bool{a: true, b: true, c: false, d: true, e: true} {
		if _, ok := v.get(name); ok != want {
			t.Errorf("after one too many: kept %v, want %v", ok, want)
		}
	}
	put()
	put()
	if _, ok := v.get(a); ok {
		t.Error("what was fetched is kept before what was not")
	}
	if _, ok := v.get(b); ok {
		t.Error("the oldest is kept")
	}
	if _, ok := v.get(e); !ok {
		t.Error("too much was dropped")
	}
	small := vault{limit: 1000, fetched: 300}
	f, g := small.put(make([]byte, 136)), small.put(make([]byte, 136))
	small.release(f)
	small.release(g)
	if _, ok := small.get(f); ok {
		t.Error("more than Fetched bytes that were fetched are kept")
	}
	huge := small.put(make([]byte, 5000))
	if _, ok := small.get(huge); !ok {
		t.Error("one result over the limit is not kept at all")
	}
}

// TestVaultBooks holds that the books are right after any sequence of calls.
func TestVaultBooks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	v := vault{limit: 5000, fetched: 2000}
	var all []*blob
	for range 5000 {
		switch r.IntN(3) {
		case 0:
			all = append(all, v.put(make([]byte, r.IntN(500))))
		case 1:
			if len(all) > 0 {
				v.release(all[r.IntN(len(all))])
			}
		default:
			if len(all) > 0 && r.IntN(4) == 0 {
				v.drop(all[r.IntN(len(all))])
			}
		}
		var fresh, spare int64
		for _, b := range all {
			if b.on == &v.fresh {
				fresh += b.size()
			} else {
				spare += b.size()
			}
		}
		if fresh != v.fresh.used || spare != v.spare.used {
			t.Fatalf("books say %d and %d, there are %d and %d", v.fresh.used, v.spare.used, fresh, spare)
		}
		if fresh+spare > v.limit+600 || spare > 2000 {
			t.Fatalf("%d fresh and %d fetched", fresh, spare)
		}
	}
}
