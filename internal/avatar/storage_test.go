package avatar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
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

const bucket = "avatars"

// newS3 returns a client of an in-process S3 server, and the server's URL.
func newS3(t *testing.T, change func(*S3Options)) (*S3, string) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	o := S3Options{Endpoint: server.URL, Region: "us-east-1", Bucket: bucket, AccessKey: "key", SecretKey: "secret-of-s3"}
	change(&o)
	s, err := NewS3(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, server.URL
}

func TestS3_Put(t *testing.T) {
	t.Run("stores a picture under its address", func(t *testing.T) {
		s, base := newS3(t, func(*S3Options) {})
		path := put(t, s)
		if s.URL(path) != base+path || !s.Issued(s.URL(path)) { // the bucket's name is avatars
			t.Fatalf("%s has the address %s", path, s.URL(path))
		}
		if again := put(t, s); again == path {
			t.Errorf("two pictures have the path %s", path)
		}
		res, err := http.Get(s.URL(path))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(data, testPicture.Data) || res.Header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("%d bytes of %s, %v", len(data), res.Header.Get("Content-Type"), err)
		}
	})
	t.Run("uses PublicURL", func(t *testing.T) {
		s, _ := newS3(t, func(o *S3Options) { o.PublicURL = "https://cdn.example.com/a/" })
		name := strings.TrimPrefix(put(t, s), Path)
		if address := s.URL(Path + name); address != "https://cdn.example.com/a/"+name {
			t.Fatal(address)
		}
		for _, other := range []string{"https://cdn.example.com/b/" + name, "https://cdn.example.com/a/x.svg", "https://cdn.example.com/a/../" + name} {
			if s.Issued(other) {
				t.Errorf("%s counts as issued", other)
			}
		}
	})
}

func TestS3_Delete(t *testing.T) {
	s, _ := newS3(t, func(*S3Options) {})
	one, other := put(t, s), put(t, s)
	for _, path := range []string{"", "https://a/b.jpg", one, one} {
		if err := s.Delete(t.Context(), path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	usage, err := Measure(t.Context(), s)
	if err != nil || usage != (Usage{Files: 1, Bytes: int64(len(testPicture.Data))}) {
		t.Errorf("%+v, %v", usage, err)
	}
	if res, err := http.Get(s.URL(other)); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v", err)
	}
}

func TestS3_Sweep(t *testing.T) {
	s, _ := newS3(t, func(*S3Options) {})
	if _, err := s.client.PutObject(t.Context(), bucket, "notes.txt", strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	var keep References
	keep.Add(put(t, s))
	put(t, s)
	old := time.Now().Add(-time.Hour)
	if swept, err := Sweep(t.Context(), s, SweepOptions{Keep: &keep, Before: old}); err != nil || swept != (Swept{Files: 2}) {
		t.Errorf("files newer than Before: %+v, %v", swept, err)
	}
	later := time.Now().Add(time.Hour)
	swept, err := Sweep(t.Context(), s, SweepOptions{Keep: &keep, Before: later})
	if err != nil || swept != (Swept{Files: 2, Removed: 1, RemovedBytes: int64(len(testPicture.Data))}) {
		t.Errorf("%+v, %v", swept, err)
	}
	gone, _ := newS3(t, func(o *S3Options) { o.Endpoint = "http://127.0.0.1:1" })
	if swept, err := Sweep(t.Context(), gone, SweepOptions{Keep: &keep, Before: later}); err == nil {
		t.Errorf("no error for an unreachable store: %+v", swept)
	}
}

func TestS3_Errors(t *testing.T) {
	missing, _ := newS3(t, func(o *S3Options) { o.Bucket = "nowhere" })
	gone, _ := newS3(t, func(o *S3Options) { o.Endpoint = "http://127.0.0.1:1" })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, put := range map[string]func() (string, error){
		"no bucket":   func() (string, error) { return missing.Put(t.Context(), testPicture) },
		"unreachable": func() (string, error) { return gone.Put(t.Context(), testPicture) },
		"cancelled":   func() (string, error) { return missing.Put(ended, testPicture) },
	} {
		t.Run(name, func(t *testing.T) {
			address, err := put()
			if err == nil || address != "" || strings.Contains(err.Error(), "secret-of-s3") {
				t.Errorf("%s, %v", address, err)
			}
		})
	}
	if _, err := NewS3(S3Options{Endpoint: "nowhere"}); err == nil {
		t.Error("no error for an endpoint without a host")
	}
}
