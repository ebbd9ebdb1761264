package handlers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/internal/avatar"
)

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
