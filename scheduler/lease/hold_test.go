package lease

import "testing"

// The answer to the end of a slice was lost, so it is ended once more: that changes nothing, and tells again that it was the batch's last one. Once the
// slice has been handed out anew, its former owner ends nothing.
func TestEndTwice(t *testing.T) {
	q, _ := newQueue(t)
	id := submit(t, q, fakeBatch(4, 2))
	var held []*hold
	for i := range 2 {
		h, err := q.claim(ctx, args{Batch: id, Slice: i}, "m")
		if err != nil || h == nil {
			t.Fatal(h, err)
		}
		held = append(held, h)
	}
	for try := range 2 {
		if last, err := held[0].end(ctx, "", "", ""); err != nil || last {
			t.Errorf("try %d of the first slice: %v, %v", try, last, err)
		}
	}
	for try := range 2 {
		if last, err := held[1].end(ctx, "", "", ""); err != nil || !last {
			t.Errorf("try %d of the last slice: %v, %v", try, last, err)
		}
	}
	if err := q.Retry(ctx, id, true, false); err != nil {
		t.Fatal(err)
	}
	if last, err := held[1].end(ctx, "", "", ""); err != nil || last {
		t.Errorf("by its former owner: %v, %v", last, err)
	}
	s, err := q.Status(ctx, id)
	if err != nil || ended(s) || s.Slices[0].State != "free" || s.Slices[1].State != "free" {
		t.Errorf("%+v, %v", s, err)
	}
	// The next owner gets the orders with the claim.
	h, err := q.claim(ctx, args{Batch: id, Slice: 1, Epoch: s.Slices[1].Epoch}, "n")
	if err != nil || h == nil || !h.told.againFailed || h.told.againHeld || h.told.asked != "" {
		t.Fatalf("%+v, %v", h, err)
	}
}
