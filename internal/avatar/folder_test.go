package avatar

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func newFolder(t *testing.T) (*Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "avatars")
	f, err := OpenFolder(dir, "https://login.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir
}

func made(t *testing.T) Picture {
	t.Helper()
	p, err := inspectAndMake(asJPEG(t, photo(40, 40)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFolder_keeps_a_picture_under_its_address(t *testing.T) {
	f, dir := newFolder(t)
	p := made(t)
	address, err := f.Put(t.Context(), p)
	name, ok := strings.CutPrefix(address, "https://login.example.com/avatars/")
	if err != nil || !ok {
		t.Fatalf("%s, %v", address, err)
	}
	if !f.Issued(address) {
		t.Error("its own address is not known")
	}
	file, contentType, err := f.Open(name)
	if err != nil || contentType != "image/jpeg" {
		t.Fatalf("%s, %v", contentType, err)
	}
	defer file.Close()
	if data, err := io.ReadAll(file); err != nil || !bytes.Equal(data, p.Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	wantFiles(t, dir, 1)
}

// wantFiles fails unless a folder holds so many files, of whatever name.
func wantFiles(t *testing.T, dir string, n int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != n {
		t.Errorf("the folder holds %d files, want %d (%v)", len(files), n, err)
	}
}

func TestFolder_Put_race(t *testing.T) {
	f, dir := newFolder(t)
	p := made(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			address, err := f.Put(t.Context(), p)
			if err != nil || !f.Issued(address) {
				t.Errorf("%s, %v", address, err)
			}
		})
	}
	wg.Wait()
	wantFiles(t, dir, 32)
}

func TestFolder_serves_pictures_alone(t *testing.T) {
	f, dir := newFolder(t)
	const picture = "0123456789abcdef0123456789abcdef.jpg"
	for _, name := range []string{"x.txt", "." + picture + ".half", picture + ".bak"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), picture), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "x.txt", "." + picture + ".half", picture + ".bak", picture, "../" + picture, "..%2f" + picture, "/etc/passwd"} {
		if file, _, err := f.Open(name); err == nil {
			file.Close()
			t.Errorf("%q is served", name)
		} else if name == picture && !os.IsNotExist(err) || name == "" && err != fs.ErrNotExist {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, address := range []string{
		"https://login.example.com/avatars/" + picture, "https://login.example.com/avatars/../" + picture,
		"https://evil.example.com/avatars/" + picture, "https://login.example.com/avatars/x.txt",
	} {
		if f.Issued(address) {
			t.Errorf("%s counts as issued", address)
		}
	}
}

// A folder that cannot be written leaves nothing behind and says so.
func TestFolder_Put_fails_whole(t *testing.T) {
	f, dir := newFolder(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if address, err := f.Put(t.Context(), made(t)); err == nil {
		t.Errorf("kept at %s, in no folder", address)
	}
}
