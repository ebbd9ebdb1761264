package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/internal/batch"
)

var errConflict = errors.New("conflict")

type traceKey struct{}

// recorder is a Batcher whose statements block until the test releases them. Requests are texts; those of one batch
// have the same first letter.
type recorder struct {
	*batch.Batcher[string, string]

	mu      sync.Mutex
	singles []string
	batches [][]string
	ctx     context.Context // of the last batch
	fail    func(reqs []string) error
	blocked chan struct{} // closed by release

	calls sync.WaitGroup
}

func newRecorder() *recorder {
	r := &recorder{blocked: make(chan struct{}), fail: func([]string) error { return nil }}
	r.Batcher = &batch.Batcher[string, string]{
		Single: r.single, Batch: r.batch,
		Joinable:  func(a, b string) bool { return a[0] == b[0] },
		Retryable: func(err error) bool { return errors.Is(err, errConflict) },
		Timeout:   time.Minute,
		Now:       time.Now,
	}
	return r
}

func (r *recorder) single(ctx context.Context, req string) (string, error) {
	r.mu.Lock()
	r.singles = append(r.singles, req)
	blocked := r.blocked
	r.mu.Unlock()
	<-blocked
	return "single " + req, ctx.Err()
}

func (r *recorder) batch(ctx context.Context, reqs []string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches, r.ctx = append(r.batches, slices.Clone(reqs)), ctx
	if err := r.fail(reqs); err != nil {
		return nil, err
	}
	results := make([]string, len(reqs))
	for i, req := range reqs {
		results[i] = "batch " + req
	}
	return results, ctx.Err()
}

// do calls Do in a goroutine. The result is in the channel.
func (r *recorder) do(ctx context.Context, req string) <-chan string {
	result := make(chan string, 1)
	r.calls.Go(func() {
		res, err := r.Do(ctx, req)
		if err != nil {
			res = "error " + err.Error()
		}
		result <- res
	})
	synctest.Wait() // the call blocks or waits in the queue now
	return result
}

// fill blocks as many statements as may run.
func (r *recorder) fill(t *testing.T) {
	t.Helper()
	for i := range batch.MaxInFlight {
		r.do(t.Context(), fmt.Sprint("x", i))
	}
	if len(r.singles) != batch.MaxInFlight || r.Queued() != 0 {
		t.Fatalf("running %v, %d queued", r.singles, r.Queued())
	}
}

// release lets all statements finish, and waits for all calls.
func (r *recorder) release() {
	close(r.blocked)
	r.calls.Wait()
	synctest.Wait()
}

func (r *recorder) wantBatches(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, reqs := range r.batches {
		got = append(got, strings.Join(reqs, " "))
	}
	slices.Sort(got) // two of them may run at once
	if !slices.Equal(got, want) {
		t.Errorf("batches %q, want %q", got, want)
	}
}

func wantResult(t *testing.T, result <-chan string, want string) {
	t.Helper()
	if got := <-result; got != want {
		t.Errorf("result %q, want %q", got, want)
	}
}

// run runs a test with a fake clock.
func run(t *testing.T, name string, test func(t *testing.T, r *recorder)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newRecorder()) })
	})
}

func TestBatcher_Do(t *testing.T) {
	run(t, "a call runs immediately, by a statement of its own", func(t *testing.T, r *recorder) {
		close(r.blocked)
		for range 3 * batch.MaxInFlight {
			wantResult(t, r.do(t.Context(), "a"), "single a")
		}
		r.wantBatches(t)
	})
	run(t, "queued calls join", func(t *testing.T, r *recorder) {
		r.fill(t)
		first, second, other := r.do(t.Context(), "a1"), r.do(t.Context(), "a2"), r.do(t.Context(), "b1")
		if r.Queued() != 3 {
			t.Errorf("%d queued, want 3", r.Queued())
		}
		r.release()
		r.wantBatches(t, "a1 a2", "b1")
		wantResult(t, first, "batch a1")
		wantResult(t, second, "batch a2")
		wantResult(t, other, "batch b1")
	})
	run(t, "a batch has a maximum size", func(t *testing.T, r *recorder) {
		r.fill(t)
		const calls = 2*batch.MaxBatch + 1
		for i := range calls {
			r.do(t.Context(), fmt.Sprint("a", i))
		}
		r.release()
		var sizes []int
		for _, reqs := range r.batches {
			sizes = append(sizes, len(reqs))
		}
		slices.Sort(sizes)
		if !slices.Equal(sizes, []int{1, batch.MaxBatch, batch.MaxBatch}) {
			t.Errorf("batches of %v", sizes)
		}
	})
	run(t, "slots are free again after a batch", func(t *testing.T, r *recorder) {
		r.fill(t)
		r.do(t.Context(), "a")
		r.release()
		r.blocked = make(chan struct{})
		r.singles = nil
		r.fill(t)
		r.release()
	})
}

func TestBatcher_DoContext(t *testing.T) {
	run(t, "a batch is not cancelled with a caller and keeps the first one's values", func(t *testing.T, r *recorder) {
		r.fill(t)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), traceKey{}, "first"))
		first, second := r.do(ctx, "a1"), r.do(t.Context(), "a2")
		r.fail = func([]string) error {
			cancel()
			return nil
		}
		r.release()
		r.wantBatches(t, "a1 a2")
		wantResult(t, second, "batch a2")
		<-first // either its result or its context's error
		if deadline, ok := r.ctx.Deadline(); r.ctx.Value(traceKey{}) != "first" || !ok || time.Until(deadline) > time.Minute {
			t.Errorf("context %v", r.ctx)
		}
	})
	run(t, "a queued call returns with its context", func(t *testing.T, r *recorder) {
		r.fill(t)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := r.do(ctx, "a1"), r.do(t.Context(), "a2")
		cancel()
		wantResult(t, first, "error context canceled")
		r.release()
		r.wantBatches(t, "a2")
		wantResult(t, second, "batch a2")
	})
}

func TestBatcher_DoErrors(t *testing.T) {
	run(t, "an error is that of all calls of the batch", func(t *testing.T, r *recorder) {
		r.fill(t)
		first, second := r.do(t.Context(), "a1"), r.do(t.Context(), "a2")
		r.fail = func([]string) error { return errors.New("outage") }
		r.release()
		wantResult(t, first, "error outage")
		wantResult(t, second, "error outage")
	})
	run(t, "after a conflict each request is handled alone", func(t *testing.T, r *recorder) {
		r.fill(t)
		first, second := r.do(t.Context(), "a1"), r.do(t.Context(), "a2")
		r.fail = func([]string) error { return errConflict }
		r.release()
		r.wantBatches(t, "a1 a2")
		wantResult(t, first, "single a1")
		wantResult(t, second, "single a2")
	})
}

func TestBatcher_DoBypass(t *testing.T) {
	run(t, "new calls bypass a queue whose head has waited too long", func(t *testing.T, r *recorder) {
		r.fill(t)
		queued := r.do(t.Context(), "a1")
		r.do(t.Context(), "a2")
		time.Sleep(51 * time.Millisecond)
		bypass := r.do(t.Context(), "a3")
		if !slices.Contains(r.singles, "a3") || r.Queued() != 2 {
			t.Errorf("running %v, %d queued", r.singles, r.Queued())
		}
		r.release()
		r.wantBatches(t, "a1 a2")
		wantResult(t, queued, "batch a1")
		wantResult(t, bypass, "single a3")
	})
}

// Every call gets the result of its own request, whatever is cancelled or in conflict.
func TestBatcher_DoConcurrent(t *testing.T) {
	var batches atomic.Int64
	b := &batch.Batcher[int, int]{
		Single: func(_ context.Context, req int) (int, error) { return -req, nil },
		Batch: func(_ context.Context, reqs []int) ([]int, error) {
			if batches.Add(1)%3 == 0 {
				return nil, errConflict
			}
			results := make([]int, len(reqs))
			for i, req := range reqs {
				results[i] = -req
			}
			return results, nil
		},
		Joinable:  func(a, b int) bool { return a != b },
		Retryable: func(err error) bool { return err == errConflict },
		Timeout:   time.Minute,
		Now:       time.Now,
	}
	var calls sync.WaitGroup
	for i := range 2000 {
		calls.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%7 == 0 {
				go cancel()
			}
			res, err := b.Do(ctx, i)
			if err == nil && res != -i || err != nil && (i%7 != 0 || !errors.Is(err, context.Canceled)) {
				t.Errorf("request %d: %d, %v", i, res, err)
			}
		})
	}
	calls.Wait()
	if b.Queued() != 0 {
		t.Errorf("%d queued", b.Queued())
	}
}
