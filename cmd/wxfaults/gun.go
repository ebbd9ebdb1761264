package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	crowd      = 256  // users who log in again and again
	gunWorkers = 1024 // requests that can be under way
	preparers  = 8
)

// gun sends logins to one server, cheaply: it shares the machine with what it measures.
type gun struct {
	system *system
	client *http.Client
	base   string
}

func newGun(s *system) *gun {
	return &gun{
		system: s, base: "http://" + s.servers["A"].public,
		client: &http.Client{Timeout: clientTimeout, Transport: newTransport()},
	}
}

// post sends a form and returns the status, 0 without an answer, and whether a 503 is a proper refusal.
func (g *gun) post(ctx context.Context, route route, form url.Values) (status int, proper bool, body []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.base+string(route), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, false, nil
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := g.client.Do(req)
	if err != nil {
		return 0, false, nil
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return 0, false, nil
	}
	proper = resp.Header.Get("Retry-After") != "" && bytes.Contains(body, []byte(`"code":"wechat_unavailable"`))
	return resp.StatusCode, proper, body
}

func (g *gun) login(ctx context.Context, code string) (status int, proper bool) {
	status, proper, _ = g.post(ctx, onLogin, url.Values{"code": {code}})
	return status, proper
}

// warmUp lets the whole crowd log in once: what is measured are people who come back.
func (g *gun) warmUp(ctx context.Context) error {
	codes, err := g.codes(ctx, crowd)
	if err != nil {
		return err
	}
	errs := make([]error, preparers)
	var warming sync.WaitGroup
	for w := range preparers {
		warming.Go(func() {
			for i := w; i < len(codes) && errs[w] == nil; i += preparers {
				if status, _ := g.login(ctx, codes[i]); status != 200 {
					errs[w] = fmt.Errorf("the first login of somebody is answered %s", statusName(status))
				}
			}
		})
	}
	warming.Wait()
	return errors.Join(errs...)
}

// codes gets n codes of wx.login, from the whole crowd in turn.
func (g *gun) codes(ctx context.Context, n int) ([]string, error) {
	codes := make([]string, n)
	errs := make([]error, preparers)
	var preparing sync.WaitGroup
	for w := range preparers {
		preparing.Go(func() {
			for i := w; i < n && errs[w] == nil; i += preparers {
				codes[i], errs[w] = g.code(ctx, fmt.Sprintf("o%03d", i%crowd))
			}
		})
	}
	preparing.Wait()
	return codes, errors.Join(errs...)
}

// code is one code. It is patient: the machine is busy, and nothing is at fault.
func (g *gun) code(ctx context.Context, user string) (code string, err error) {
	err = await(ctx, "the simulator", 10*time.Second, func(ctx context.Context) (err error) {
		code, err = g.system.wechat.login(ctx, user)
		return err
	})
	return code, err
}

// closedLoop lets so many workers log in, one login after the other.
func (g *gun) closedLoop(ctx context.Context, workers int, length time.Duration) (outcomes, error) {
	most := workers * int(length/time.Millisecond) // a login takes longer than a millisecond
	codes, err := g.codes(ctx, min(most, 20_000))
	if err != nil {
		return outcomes{}, err
	}
	ready := make(chan string, len(codes))
	for _, code := range codes {
		ready <- code
	}
	close(ready)
	seen := make([]outcomes, workers)
	start := time.Now()
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			for code := range ready {
				sent := time.Now()
				if sent.Sub(start) >= length {
					return
				}
				status, proper := g.login(ctx, code)
				seen[w].add(status, time.Since(sent), proper)
			}
		})
	}
	working.Wait()
	total := outcomes{took: time.Since(start)}
	for _, one := range seen {
		total.join(one)
	}
	return total, ctx.Err()
}
