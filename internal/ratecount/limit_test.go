package ratecount_test

import (
	"testing"
)

// What is less than a 32nd of a limit stays here, is exact here, and goes with what comes later.
func TestCounter_ForLimit_keeps_small_counts_to_itself(t *testing.T) {
	f := newFixture(t)
	g := f.another(t)
	counter := f.ForLimit(320)
	for n := 1; n <= 10; n++ {
		if err := counter.Increment("a", current); err != nil {
			t.Fatal(err)
		}
		if now, _, _ := counter.Get("a", current, previous); now != n {
			t.Fatalf("counted %d, want %d", now, n)
		}
	}
	f.Flush()
	if n := f.sum(t); n != 0 {
		t.Fatalf("%d are in Redis, want none", n)
	}
	if err := counter.IncrementBy("a", current, 1); err != nil {
		t.Fatal(err)
	}
	f.Flush()
	if n := f.sum(t); n != 11 {
		t.Fatalf("%d are in Redis, want 11", n)
	}
	g.count(t, "a", 1)
	g.Flush()
	g.want(t, "a", 12, 0)
}

// Limits so small that each event counts are shared from the first on.
func TestCounter_ForLimit_shares_small_limits_at_once(t *testing.T) {
	f := newFixture(t)
	if err := f.ForLimit(31).Increment("a", current); err != nil {
		t.Fatal(err)
	}
	f.Flush()
	if n := f.sum(t); n != 1 {
		t.Errorf("%d are in Redis, want 1", n)
	}
}
