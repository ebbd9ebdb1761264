package avatar

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

const bucket = "avatars"

// newS3 is a client of a store that speaks S3, in this process.
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

func TestS3_keeps_a_picture_under_its_address(t *testing.T) {
	s, base := newS3(t, func(*S3Options) {})
	p := made(t)
	address, err := s.Put(t.Context(), p)
	if err != nil || !strings.HasPrefix(address, base+"/avatars/") || !s.Issued(address) {
		t.Fatalf("%s, %v", address, err)
	}
	if again, err := s.Put(t.Context(), p); err != nil || again == address {
		t.Errorf("once more: %s, %v", again, err)
	}
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(data, p.Data) || res.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("%d bytes of %s, %v", len(data), res.Header.Get("Content-Type"), err)
	}
}

func TestS3_public_address(t *testing.T) {
	s, _ := newS3(t, func(o *S3Options) { o.PublicURL = "https://cdn.example.com/a/" })
	address, err := s.Put(t.Context(), made(t))
	name, ok := strings.CutPrefix(address, "https://cdn.example.com/a/")
	if err != nil || !ok {
		t.Fatalf("%s, %v", address, err)
	}
	for _, other := range []string{"https://cdn.example.com/b/" + name, "https://cdn.example.com/a/x.svg", "https://cdn.example.com/a/../" + name} {
		if s.Issued(other) {
			t.Errorf("%s counts as issued", other)
		}
	}
}

func TestS3_faults(t *testing.T) {
	missing, _ := newS3(t, func(o *S3Options) { o.Bucket = "nowhere" })
	gone, _ := newS3(t, func(o *S3Options) { o.Endpoint = "http://127.0.0.1:1" })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, put := range map[string]func() (string, error){
		"no_bucket":   func() (string, error) { return missing.Put(t.Context(), made(t)) },
		"unreachable": func() (string, error) { return gone.Put(t.Context(), made(t)) },
		"cancelled":   func() (string, error) { return missing.Put(ended, made(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			address, err := put()
			if err == nil || address != "" || strings.Contains(err.Error(), "secret-of-s3") {
				t.Errorf("%s, %v", address, err)
			}
		})
	}
	if _, err := NewS3(S3Options{Endpoint: "nowhere"}); err == nil {
		t.Error("an address without a host is taken")
	}
}
