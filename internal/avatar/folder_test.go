package avatar

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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

// testPicture is a picture for Put.
var testPicture = Picture{Data: []byte("a picture"), Extension: ".jpg"}

func put(t *testing.T, store interface {
	Put(context.Context, Picture) (string, error)
}) (path string) {
	t.Helper()
	path, err := store.Put(t.Context(), testPicture)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantFiles checks that a folder holds n files.
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
		if data, err := io.ReadAll(file); err != nil || !bytes.Equal(data, testPicture.Data) {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		wantFiles(t, dir, 1)
	})
	t.Run("stores each picture in its own file", func(t *testing.T) {
		f, dir := newFolder(t)
		var wg sync.WaitGroup
		var paths sync.Map
		for range 32 {
			wg.Go(func() {
				path, err := f.Put(t.Context(), testPicture)
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
		if path, err := f.Put(t.Context(), testPicture); err == nil {
			t.Errorf("stored at %s, but the folder does not exist", path)
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
	for range 2 { // deleting twice is not an error
		if err := f.Delete(t.Context(), one); err != nil {
			t.Error(err)
		}
	}
	wantFiles(t, dir, 1)
	if _, _, err := f.Open(strings.TrimPrefix(other, Path)); err != nil {
		t.Error(err)
	}
}

func TestFolder_Open(t *testing.T) {
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

func TestFolder_Disk(t *testing.T) {
	f, _ := newFolder(t)
	if disk, err := f.Disk(); err != nil || disk.Size == 0 || disk.Free > disk.Size {
		t.Errorf("%+v, %v", disk, err)
	}
}

// Any stored value results in a valid name or in none.
func FuzzStoredName(f *testing.F) {
	name := newName(".jpg")
	for _, s := range []string{"", Path + name, publicURL + "avatars/" + name, "http://x/avatars/../" + name, "https://a/b.png"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		name, ok := storedName(stored)
		if ok && (!pictureName.MatchString(name) || !strings.HasSuffix(stored, Path+name)) {
			t.Errorf("%q is %q", stored, name)
		}
	})
}
