package handlers

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"wxlogin/session"
)

// A service that uses the session package alone answers as this server does, but for a request id: clients know one kind
// of refusal.
func TestSession_refuses_as_the_server_does(t *testing.T) {
	for c, err := range map[code]error{codeInvalidToken: session.ErrNotFound, codeStorageUnavailable: session.ErrUnavailable} {
		theirs, ours := httptest.NewRecorder(), httptest.NewRecorder()
		session.WriteError(theirs, nil, err)
		writeFailure(ours, httptest.NewRequest("GET", "/", nil), failure{code: c})
		var got, want problemAnswer
		if json.Unmarshal(theirs.Body.Bytes(), &got) != nil || json.Unmarshal(ours.Body.Bytes(), &want) != nil || got != want {
			t.Errorf("%s: got %+v, want %+v", c, got, want)
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "WWW-Authenticate"} {
			if got, want := theirs.Result().Header.Get(name), ours.Result().Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c, name, got, want)
			}
		}
		if theirs.Code != problems[c].status || want.Status != theirs.Code {
			t.Errorf("%s: status %d", c, theirs.Code)
		}
	}
}
