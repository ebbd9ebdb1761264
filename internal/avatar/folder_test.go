package avatar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const publicURL = "https://login.example.com/"

func newFolder(t *testing.T) (*Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "avatars")
	f, err := OpenFolder(dir, publicURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir
}

// kept is a picture as Put takes it.
var kept = Picture{Data: []byte("a picture"), Extension: ".jpg"}

func put(t *testing.T, store interface {
	Put(context.Context, Picture) (string, error)
}) (path string) {
	t.Helper()
	path, err := store.Put(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantFiles fails unless a folder holds n files, of whatever name.
func wantFiles(t *testing.T, dir string, n int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != n {
		t.Errorf("the folder holds %d files, want %d (%v)", len(files), n, err)
	}
}

func TestFolder_Put(t *testing.T) {
	t.Run("stores a picture under its path", func(t *testing.T) {
		f, dir := newFolder(t)
		path := put(t, f)
		if name, ok := strings.CutPrefix(path, "/avatars/"); !ok || !pictureName.MatchString(name) {
			t.Fatalf("path %s", path)
		}
		if f.URL(path) != "https://login.example.com"+path || !f.Issued(f.URL(path)) {
			t.Errorf("address %s", f.URL(path))
		}
		file, contentType, err := f.Open(strings.TrimPrefix(path, Path))
		if err != nil || contentType != "image/jpeg" {
			t.Fatalf("%s, %v", contentType, err)
		}
		defer file.Close()
		if data, err := io.ReadAll(file); err != nil || !bytes.Equal(data, kept.Data) {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		wantFiles(t, dir, 1)
	})
	t.Run("gives each picture a file of its own", func(t *testing.T) {
		f, dir := newFolder(t)
		var wg sync.WaitGroup
		var paths sync.Map
		for range 32 {
			wg.Go(func() {
				path, err := f.Put(t.Context(), kept)
				if _, twice := paths.LoadOrStore(path, true); err != nil || twice {
					t.Errorf("%s, twice: %v, %v", path, twice, err)
				}
			})
		}
		wg.Wait()
		wantFiles(t, dir, 32)
	})
	t.Run("leaves nothing behind if it fails", func(t *testing.T) {
		f, dir := newFolder(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if path, err := f.Put(t.Context(), kept); err == nil {
			t.Errorf("stored at %s, in no folder", path)
		}
	})
}

func TestFolder_Delete(t *testing.T) {
	f, dir := newFolder(t)
	one, other := put(t, f), put(t, f)
	for _, path := range []string{"", "https://cdn.example.com/a.jpg", f.URL(one), strings.TrimPrefix(one, Path), "/avatars/../" + one} {
		if err := f.Delete(t.Context(), path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	wantFiles(t, dir, 2)
	for range 2 { // the second time there is nothing to delete
		if err := f.Delete(t.Context(), one); err != nil {
			t.Error(err)
		}
	}
	wantFiles(t, dir, 1)
	if _, _, err := f.Open(strings.TrimPrefix(other, Path)); err != nil {
		t.Error(err)
	}
}

func TestFolder_Open_serves_pictures_alone(t *testing.T) {
	f, dir := newFolder(t)
	name := newName(".jpg")
	for _, other := range []string{"x.txt", "." + name + ".half", name + ".bak"} {
		if err := os.WriteFile(filepath.Join(dir, other), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), name), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "x.txt", "." + name + ".half", name + ".bak", name, "../" + name, "..%2f" + name, "/etc/passwd"} {
		if file, _, err := f.Open(name); err == nil {
			file.Close()
			t.Errorf("%q is served", name)
		} else if pictureName.MatchString(name) && !os.IsNotExist(err) || name == "" && err != fs.ErrNotExist {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFolder_URL(t *testing.T) {
	f, _ := newFolder(t)
	path := put(t, f)
	name := strings.TrimPrefix(path, Path)
	missing := newName(".png")
	for stored, want := range map[string]string{
		"":   "",
		path: "https://login.example.com/avatars/" + name,
		"https://login.example.com/avatars/" + name:     "https://login.example.com/avatars/" + name,
		"http://before.example.com/p/avatars/" + name:   "https://login.example.com/avatars/" + name,
		"https://cdn.example.com/avatars/" + missing:    "https://cdn.example.com/avatars/" + missing,
		"https://thirdwx.qlogo.cn/mmopen/vi_32/abc/132": "https://thirdwx.qlogo.cn/mmopen/vi_32/abc/132",
		"/avatars/x.txt": "/avatars/x.txt",
		Path + missing:   "https://login.example.com/avatars/" + missing,
	} {
		if got := f.URL(stored); got != want {
			t.Errorf("%q has the address %q, want %q", stored, got, want)
		}
	}
}

func TestAddresses_Issued(t *testing.T) {
	f, _ := newFolder(t)
	name := newName(".png")
	for address, want := range map[string]bool{
		"https://login.example.com/avatars/" + name:       true,
		"https://login.example.com/avatars/../" + name:    false,
		"https://evil.example.com/avatars/" + name:        false,
		"https://login.example.com/avatars/x.txt":         false,
		"https://login.example.com/avatars/" + name + "?": false,
		Path + name: false,
	} {
		if got := f.Issued(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// writeOld writes a file that was last changed some time ago.
func writeOld(t *testing.T, dir, name string, age time.Duration) {
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
			writeOld(t, dir, name, 2*day)
		}
		writeOld(t, dir, fresh, day/2)
		writeOld(t, dir, freshHalf, day/2)
		return f, dir
	}
	var keep References
	for _, stored := range []string{Path + ours, "https://before.example.com/avatars/" + absolute, "", "https://a/b.jpg"} {
		keep.Add(stored)
	}
	options := SweepOptions{Keep: &keep, Before: time.Now().Add(-day)}
	t.Run("removes what no row has", func(t *testing.T) {
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
	t.Run("counts only in a dry run", func(t *testing.T) {
		f, dir := folder(t)
		o := options
		o.DryRun = true
		if swept, err := Sweep(t.Context(), f, o); err != nil || swept.Removed != 2 {
			t.Errorf("%+v, %v", swept, err)
		}
		wantFiles(t, dir, 8)
	})
	t.Run("ends with its context", func(t *testing.T) {
		f, dir := folder(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Sweep(ctx, f, options); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		wantFiles(t, dir, 8)
	})
	t.Run("measures", func(t *testing.T) {
		f, _ := folder(t)
		if usage, err := Measure(t.Context(), f); err != nil || usage != (Usage{Files: 6, Bytes: 30}) {
			t.Errorf("%+v, %v", usage, err)
		}
	})
}

func TestFolder_Disk(t *testing.T) {
	f, _ := newFolder(t)
	if disk, err := f.Disk(); err != nil || disk.Size == 0 || disk.Free > disk.Size {
		t.Errorf("%+v, %v", disk, err)
	}
}

// Whatever is stored, it is read as one name of the known form or as none.
func FuzzNameOf(f *testing.F) {
	name := newName(".jpg")
	for _, s := range []string{"", Path + name, publicURL + "avatars/" + name, "http://x/avatars/../" + name, "https://a/b.png"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		name, ok := nameOf(stored)
		if ok && (!pictureName.MatchString(name) || !strings.HasSuffix(stored, Path+name)) {
			t.Errorf("%q is %q", stored, name)
		}
	})
}
