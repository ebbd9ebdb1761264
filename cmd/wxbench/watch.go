package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profileSeconds is how long a CPU profile is taken.
const profileSeconds = 15

// startProfile begins to take a CPU profile, where one is wanted. The function that it returns waits for its end.
func (w *world) startProfile(ctx context.Context) func() error {
	if w.profile == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- w.saveProfile(ctx) }()
	return func() error { return <-done }
}

func (w *world) saveProfile(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*profileSeconds*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", w.ours.internal, profileSeconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the profile: %s, %w", resp.Status, err)
	}
	return os.WriteFile(w.profile, text, 0o644)
}

// countEvery is how often wxlogin's goroutines are counted: rarely, for being asked is work too.
const countEvery = 500 * time.Millisecond

// countGoroutines counts wxlogin's goroutines from now on. The function that it returns ends that, and tells the most.
func (w *world) countGoroutines(ctx context.Context) func() float64 {
	ctx, cancel := context.WithCancel(ctx)
	most := make(chan float64, 1)
	go func() {
		var highest float64
		defer func() { most <- highest }()
		tick := time.NewTicker(countEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if figures, err := w.figures(ctx, w.ours, "go_goroutines"); err == nil {
				highest = max(highest, figures[0])
			}
		}
	}()
	return func() float64 {
		cancel()
		return <-most
	}
}
