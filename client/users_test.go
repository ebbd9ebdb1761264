package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wxlogin/client"
)

// Ids are asked for in hundreds, which is what the server takes at once.
func TestClient_Users_Hundreds(t *testing.T) {
	var asked []int
	c := stubbed(t, func(r *http.Request) (*http.Response, error) {
		ids := r.URL.Query()["id"]
		asked = append(asked, len(ids))
		return respond(http.StatusOK, fmt.Sprintf(`{"users":[{"id":%s,"status":"erased"}]}`, ids[0]))
	})
	var ids []uint64
	for id := range uint64(250) {
		ids = append(ids, id+1)
	}
	users, err := c.Users(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	var found []uint64
	for _, u := range users {
		found = append(found, u.ID)
	}
	if !slices.Equal(asked, []int{100, 100, 50}) || !slices.Equal(found, []uint64{1, 101, 201}) {
		t.Errorf("asked for %v ids, found %v", asked, found)
	}
	if users, err := c.Users(t.Context()); err != nil || len(users) != 0 || len(asked) != 3 {
		t.Errorf("without an id: %d users, %v, %d requests", len(users), err, len(asked))
	}
}

// A list that is missing is not an empty one, or a service would drop its users because of a proxy.
func TestClient_Users_UnusableLists(t *testing.T) {
	for _, body := range []string{`{}`, `null`, `[]`, `{"users":null}`, `{"users":[{}]}`, `{"users":[{"id":7}]}`, `{"users":[null]}`} {
		c := stubbed(t, func(*http.Request) (*http.Response, error) { return respond(http.StatusOK, body) })
		if _, err := c.UsersByPhone(t.Context(), "+8613800138000"); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// pages answers /changes with the changes 1 to n, at most most at a time.
func pages(n, most int, asked *[]string) stub {
	return func(r *http.Request) (*http.Response, error) {
		*asked = append(*asked, r.URL.RawQuery)
		var after int
		if _, err := fmt.Sscanf(r.URL.Query().Get("after"), "%d", &after); err != nil {
			return nil, err
		}
		var changes []string
		for seq := after + 1; seq <= min(after+most, n); seq++ {
			changes = append(changes, fmt.Sprintf(`{"seq":%d,"kind":"erased","userId":%d,"at":"2026-01-02T03:04:05.678Z"}`, seq, seq*10))
		}
		return respond(http.StatusOK, `{"changes":[`+strings.Join(changes, ",")+`]}`)
	}
}

func TestClient_Changes_Pages(t *testing.T) {
	for name, test := range map[string]struct {
		most  int // of one response
		stop  int // after this many changes
		want  int
		asked int
	}{
		"all":                    {most: 100, stop: 999, want: 245, asked: 4},
		"a server of small ones": {most: 50, stop: 999, want: 245, asked: 6},
		"a caller who stops":     {most: 100, stop: 5, want: 5, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			c := stubbed(t, pages(250, test.most, &asked))
			var got []uint64
			for change, err := range c.Changes(t.Context(), 5) {
				if err != nil || change.UserID != change.Seq*10 || change.Kind != client.ChangeErased || change.At.Year() != 2026 {
					t.Fatalf("%+v, %v", change, err)
				}
				if got = append(got, change.Seq); len(got) == test.stop {
					break
				}
			}
			if len(got) != test.want || got[0] != 6 || got[len(got)-1] != uint64(5+test.want) {
				t.Errorf("%d changes", len(got))
			}
			if len(asked) != test.asked || asked[0] != "after=5&limit=100" {
				t.Errorf("requests %q, want %d", asked, test.asked)
			}
		})
	}
}

// After an error the loop has ended, with what came before it.
func TestClient_Changes_Errors(t *testing.T) {
	var asked []string
	good := pages(250, 100, &asked)
	for name, second := range map[string]string{
		"no answer":       `<html>`,
		"no list":         `{}`,
		"an old change":   `{"changes":[{"seq":100,"kind":"erased","userId":1}]}`,
		"in disorder":     `{"changes":[{"seq":102,"kind":"erased","userId":1},{"seq":101,"kind":"erased","userId":1}]}`,
		"the same number": `{"changes":[{"seq":101,"kind":"erased","userId":1},{"seq":101,"kind":"erased","userId":1}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			asked = nil
			c := stubbed(t, func(r *http.Request) (*http.Response, error) {
				if len(asked) == 1 {
					return respond(http.StatusOK, second)
				}
				return good(r)
			})
			var changes, failures int
			for _, err := range c.Changes(t.Context(), 0) {
				if err == nil {
					changes++
				} else if failures++; !errors.Is(err, client.ErrUnavailable) {
					t.Error(err)
				}
			}
			if changes != 100 || failures != 1 {
				t.Errorf("%d changes, %d errors", changes, failures)
			}
		})
	}
}
