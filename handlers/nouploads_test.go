package handlers_test

import (
	"net/http"
	"strings"
	"testing"
)

// The answer says that uploads are not configured, before any token counts, and whatever the size of the picture.
func TestUploadAvatar_says_that_uploads_are_not_configured(t *testing.T) {
	w := newWorld(t, func(su *setup) { su.noAvatars = true })
	token := w.login(w.phone("alice")).Token
	for name, size := range map[string]int{"small": 100, "large": 3 << 20} {
		req := w.request("/uploadAvatar", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; "+
			"name=\"file\"; filename=\"a.png\"\r\n\r\n"+strings.Repeat("a", size)+"\r\n--b--\r\n")
		req.Header.Set("Authorization", "Bearer "+token)
		r := w.do(req)
		w.wantProblem(r, http.StatusNotFound, "not_found", "none")
		for _, want := range []string{"not configured", "AVATAR_DIR", "AVATAR_S3_ENDPOINT"} {
			if !strings.Contains(r.body.Detail, want) {
				t.Errorf("%s: the detail lacks %s: %s", name, want, r.body.Detail)
			}
		}
	}
	if strings.Contains(w.logs.String(), token) {
		t.Error("the log holds the token")
	}
}
