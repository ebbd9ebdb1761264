package avatar

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
)

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
