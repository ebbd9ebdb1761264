package avatar

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeAged writes a file with a modification time in the past.
func writeAged(t *testing.T, dir, name string, age time.Duration) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-age)
	if err := os.Chtimes(file, when, when); err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	const day = 24 * time.Hour
	ours, absolute, orphan, fresh := newName(".jpg"), newName(".png"), newName(".jpg"), newName(".jpg")
	half, freshHalf := "."+newName(".jpg")+".ABCDEFGHIJKLMNOPQRSTUVWXYZ", "."+newName(".jpg")+".234567"
	folder := func(t *testing.T) (*Folder, string) {
		f, dir := newFolder(t)
		for _, name := range []string{ours, absolute, orphan, half, "notes.txt", ".keep"} {
			writeAged(t, dir, name, 2*day)
		}
		writeAged(t, dir, fresh, day/2)
		writeAged(t, dir, freshHalf, day/2)
		return f, dir
	}
	var keep References
	for _, stored := range []string{Path + ours, "https://before.example.com/avatars/" + absolute, "", "https://a/b.jpg"} {
		keep.Add(stored)
	}
	options := SweepOptions{Keep: &keep, Before: time.Now().Add(-day)}
	t.Run("removes unreferenced files", func(t *testing.T) {
		f, dir := folder(t)
		seen := 0
		o := options
		o.Each = func(Swept) { seen++ }
		swept, err := Sweep(t.Context(), f, o)
		if want := (Swept{Files: 6, Removed: 2, RemovedBytes: 10}); err != nil || swept != want || seen != 6 {
			t.Errorf("%+v after %d, %v; want %+v", swept, seen, err, want)
		}
		for _, gone := range []string{orphan, half} {
			if _, err := os.Lstat(filepath.Join(dir, gone)); !os.IsNotExist(err) {
				t.Errorf("%s: %v", gone, err)
			}
		}
		wantFiles(t, dir, 6)
		if swept, err := Sweep(t.Context(), f, options); err != nil || swept.Removed != 0 {
			t.Errorf("again: %+v, %v", swept, err)
		}
	})
	t.Run("only counts in a dry run", func(t *testing.T) {
		f, dir := folder(t)
		o := options
		o.DryRun = true
		if swept, err := Sweep(t.Context(), f, o); err != nil || swept.Removed != 2 {
			t.Errorf("%+v, %v", swept, err)
		}
		wantFiles(t, dir, 8)
	})
	t.Run("stops when its context ends", func(t *testing.T) {
		f, dir := folder(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Sweep(ctx, f, options); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		wantFiles(t, dir, 8)
	})
	t.Run("Measure counts files", func(t *testing.T) {
		f, _ := folder(t)
		if usage, err := Measure(t.Context(), f); err != nil || usage != (Usage{Files: 6, Bytes: 30}) {
			t.Errorf("%+v, %v", usage, err)
		}
	})
}
