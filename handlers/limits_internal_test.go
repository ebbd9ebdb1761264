package handlers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/internal/avatar"
)

// tryAcquire checks whether a slot can be acquired without waiting.
func tryAcquire(t *testing.T, p *uploadSlots, wanted uploadOwner, want bool) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := p.acquire(ended, wanted); got != want {
		t.Errorf("a slot for %v: %v", wanted, got)
	}
}

// mustQueue requests a slot and fails the test if there is one.
func mustQueue(t *testing.T, p *uploadSlots, wanted uploadOwner) *slotRequest {
	t.Helper()
	r := p.enqueue(wanted)
	if r == nil {
		t.Fatalf("%v does not have to wait", wanted)
	}
	return r
}

func granted(r *slotRequest) bool {
	select {
	case <-r.granted:
		return true
	default:
		return false
	}
}

func TestUploadSlots(t *testing.T) {
	a, b, c := uploadOwner{"a", "1"}, uploadOwner{"b", "1"}, uploadOwner{"c", "2"}
	t.Run("bounds the total", func(t *testing.T) {
		p := newUploadSlots(slotLimits{2, 9, 9})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, b, true)
		tryAcquire(t, p, c, false)
		p.release(a)
		tryAcquire(t, p, c, true)
	})
	t.Run("bounds a user, from all addresses", func(t *testing.T) {
		p := newUploadSlots(slotLimits{9, 2, 9})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, uploadOwner{"a", "2"}, true)
		tryAcquire(t, p, uploadOwner{"a", "3"}, false)
		tryAcquire(t, p, b, true)
	})
	t.Run("bounds an address, for all users", func(t *testing.T) {
		p := newUploadSlots(slotLimits{9, 9, 2})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, b, true)
		tryAcquire(t, p, uploadOwner{"x", "1"}, false)
		tryAcquire(t, p, c, true)
	})
	t.Run("grants slots in order of arrival to the requests that fit", func(t *testing.T) {
		p := newUploadSlots(slotLimits{2, 9, 1})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, c, true)
		first, second, third := mustQueue(t, p, b), mustQueue(t, p, uploadOwner{"d", "3"}), mustQueue(t, p, uploadOwner{"e", "4"})
		p.release(c) // address 1 is still full
		if granted(first) || !granted(second) || granted(third) {
			t.Errorf("granted: %v %v %v", granted(first), granted(second), granted(third))
		}
		p.release(a)
		if !granted(first) || granted(third) {
			t.Errorf("granted: %v %v", granted(first), granted(third))
		}
	})
	t.Run("forgets a cancelled request", func(t *testing.T) {
		p := newUploadSlots(slotLimits{1, 9, 9})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, b, false)
		p.release(a)
		if len(p.waiting) != 0 || p.inUse != 0 || len(p.users) != 0 || len(p.addresses) != 0 {
			t.Errorf("left: %+v", p)
		}
	})
	t.Run("keeps a slot that is granted while its request is cancelled", func(t *testing.T) {
		p := newUploadSlots(slotLimits{1, 9, 9})
		tryAcquire(t, p, a, true)
		r := mustQueue(t, p, b)
		p.release(a)
		if p.cancel(r) {
			t.Error("the slot would be lost")
		}
		p.release(b)
	})
}

func TestUploadSlots_Concurrent(t *testing.T) {
	limits := slotLimits{total: 8, perUser: 2, perAddress: 4}
	p := newUploadSlots(limits)
	var users, addresses [4]atomic.Int32
	var all atomic.Int32
	var wg sync.WaitGroup
	for i := range 64 {
		user, address := i%len(users), i/4%len(addresses)
		wanted := uploadOwner{fmt.Sprint(user), fmt.Sprint(address)}
		wg.Go(func() {
			for n := range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					cancel() // gives up immediately unless there is a slot
				}
				if p.acquire(ctx, wanted) {
					if all.Add(1) > 8 || users[user].Add(1) > 2 || addresses[address].Add(1) > 4 {
						t.Error("more slots than the limits allow")
					}
					all.Add(-1)
					users[user].Add(-1)
					addresses[address].Add(-1)
					p.release(wanted)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if p.inUse != 0 || len(p.users) != 0 || len(p.addresses) != 0 || len(p.waiting) != 0 {
		t.Errorf("left: %+v", p)
	}
}

func TestDecoders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cpus   int
		memory int64 // of each picture
		want   int   // concurrent pictures
	}{
		{"one on one CPU", 1, 1, 1},
		{"one on two CPUs", 2, 1, 1},
		{"leaves a CPU", 4, 1, 3},
		{"a picture that needs all memory runs alone", 8, avatar.MaxMemory, 1},
		{"large pictures by their memory", 8, avatar.MaxMemory / 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDecoders(tt.cpus)
				var releases []func()
				for len(releases) <= tt.want {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					release, err := d.acquire(ctx, tt.memory)
					if err != nil {
						break
					}
					releases = append(releases, release)
				}
				if len(releases) != tt.want {
					t.Errorf("%d at once, want %d", len(releases), tt.want)
				}
				for _, release := range releases {
					release()
				}
				if _, err := d.acquire(t.Context(), tt.memory); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestUnknownClient(t *testing.T) {
	if strings.ContainsAny(unknownClient, ".:") {
		t.Errorf("%q could be the key of an address", unknownClient)
	}
}

// pipeListener is an in-memory listener with one connection.
type pipeListener struct{ conns chan net.Conn }

func (l pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// sendBody sends a request body of the given size, and returns how many bytes a handler read through a pacedBody, how
// long that took, and the error. It must run in a synctest bubble.
func sendBody(t *testing.T, size int, send func(net.Conn), change func(*pacedBody)) (read int64, took time.Duration, err error) {
	t.Helper()
	done := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		body := newPacedBody(w, r.Body)
		change(body)
		start := time.Now()
		read, err = io.Copy(io.Discard, body)
		took = time.Since(start)
		if err != nil {
			body.interrupt() // otherwise net/http waits for the rest
		}
	})
	client, server := net.Pipe()
	listener := pipeListener{make(chan net.Conn, 1)}
	listener.conns <- server
	s := &http.Server{Handler: handler, ReadTimeout: time.Second}
	go s.Serve(listener)
	go io.Copy(io.Discard, bufio.NewReader(client))
	fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
	go send(client)
	<-done
	client.Close()
	close(listener.conns)
	time.Sleep(time.Minute) // bubble time; net/http closes the connection after a delay
	return read, took, err
}

// trickle sends chunks, with a pause before each.
func trickle(chunk int, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		for {
			time.Sleep(pause)
			if _, err := c.Write(make([]byte, chunk)); err != nil {
				return
			}
		}
	}
}

func TestPacedBody_Read(t *testing.T) {
	admit := (*pacedBody).allowFile
	for _, tt := range []struct {
		name   string
		size   int
		send   func(net.Conn)
		change func(*pacedBody)
		err    error
		took   time.Duration // in whole seconds
	}{
		{"a silent client fails after the grace period", 1 << 20, func(net.Conn) {}, admit, errSlowBody, 5 * time.Second},
		{"a byte a second is too slow", 1 << 20, trickle(1, time.Second), admit, errSlowBody, 5 * time.Second},
		{"half of the rate fails later", 4 << 20, trickle(minUploadRate/20, time.Second/10), admit, errSlowBody, 9 * time.Second},
		{"the rate is enough", 1 << 20, trickle(minUploadRate, time.Second), admit, nil, 32 * time.Second},
		{"a body that takes too long fails", 4 << 20, trickle(minUploadRate*11/10, time.Second), admit, errSlowBody, maxUploadTime},
		{"only the beginning is read before the file is allowed", 1 << 20, trickle(1<<14, 0), func(*pacedBody) {}, &http.MaxBytesError{}, 0},
		{"a body larger than the largest upload is not read", 5 << 20, trickle(1<<16, 0), admit, &http.MaxBytesError{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				read, took, err := sendBody(t, tt.size, tt.send, tt.change)
				if took.Truncate(time.Second) != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if _, tooLarge := errors.AsType[*http.MaxBytesError](tt.err); tooLarge {
					if _, ok := errors.AsType[*http.MaxBytesError](err); !ok || read > avatar.MaxBytes+2*uploadSlack {
						t.Errorf("%d bytes, %v", read, err)
					}
				} else if !errors.Is(err, tt.err) || err == nil && read != int64(tt.size) {
					t.Errorf("%d bytes, %v; want %v", read, err, tt.err)
				}
			})
		})
	}
	t.Run("an interrupt ends a read in progress", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, took, err := sendBody(t, 1<<20, func(net.Conn) {}, func(b *pacedBody) {
				b.allowFile()
				time.AfterFunc(time.Second, b.interrupt)
			})
			if !errors.Is(err, errStopping) || took != time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
	t.Run("a body that was read has no deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var body *pacedBody
			read, _, err := sendBody(t, 100, trickle(100, 0), func(b *pacedBody) { body = b; b.allowFile() })
			if err != nil || read != 100 || !body.done {
				t.Errorf("%d bytes, %v", read, err)
			}
		})
	})
}

func TestReadPicture(t *testing.T) {
	for _, tt := range []struct {
		name      string
		bytes     int
		announced int64
		want      bool
	}{
		{"as announced", 3 << 20, 3<<20 + 200, true},
		{"of unknown size", 3 << 20, -1, true},
		{"empty", 0, 200, true},
		{"the largest", avatar.MaxBytes, avatar.MaxBytes + 300, true},
		{"the largest, of unknown size", avatar.MaxBytes, -1, true},
		{"too large", avatar.MaxBytes + 1, avatar.MaxBytes + 300, false},
		{"too large, of unknown size", avatar.MaxBytes + 1, -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, err := readPicture(strings.NewReader(strings.Repeat("x", tt.bytes)), tt.announced)
			if (err == nil) != tt.want || tt.want && len(file) != tt.bytes {
				t.Errorf("%d bytes, %v", len(file), err)
			}
			if tt.want && tt.announced >= 0 && int64(cap(file)) > tt.announced+1 {
				t.Errorf("a buffer of %d bytes for %d", cap(file), tt.announced)
			}
		})
	}
}
