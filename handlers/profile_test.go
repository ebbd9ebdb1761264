package handlers_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// profile asks the internal listener for one of Go's profiles.
func (w *world) profile(path, key string) (status int, content []byte) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.internal.URL+"/debug/pprof/"+path, nil)
	w.must(err)
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	content, err = io.ReadAll(res.Body)
	w.must(err)
	return res.StatusCode, content
}

func TestProfiles_are_for_holders_of_the_key(t *testing.T) {
	w := newWorld(t, withAPIKey)
	gzipped := []byte{0x1f, 0x8b}
	for _, path := range []string{"heap", "goroutine", "profile?seconds=1"} {
		if status, content := w.profile(path, apiKey); status != http.StatusOK || !bytes.HasPrefix(content, gzipped) {
			t.Errorf("%s: %d, %d bytes", path, status, len(content))
		}
		if status, content := w.profile(path, ""); status != http.StatusUnauthorized || bytes.HasPrefix(content, gzipped) {
			t.Errorf("%s without the key: %d", path, status)
		}
	}
	if status, _ := w.profile("secrets", apiKey); status != http.StatusNotFound {
		t.Errorf("an unknown profile: %d", status)
	}
}
