package faults

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
)

func TestNewPlan_is_the_seeds(t *testing.T) {
	if !samePlan(newPlan(7, defaultRounds), newPlan(7, defaultRounds)) {
		t.Error("one seed has given two plans")
	}
	if samePlan(newPlan(7, defaultRounds), newPlan(8, defaultRounds)) {
		t.Error("two seeds have given one plan")
	}
}

func TestNewPlan_has_every_fault_in_every_round(t *testing.T) {
	plan := newPlan(1, defaultRounds)
	if len(plan) != defaultRounds*len(scenarios) {
		t.Fatalf("%d steps", len(plan))
	}
	for round := range slices.Chunk(plan, len(scenarios)) {
		for _, s := range scenarios {
			i := slices.IndexFunc(round, func(step step) bool { return step.name == s.name })
			if i < 0 {
				t.Errorf("%s is not in a round", s.name)
				continue
			}
			got := round[i]
			if got.length < s.length || got.length > s.length+spread || got.idle <= 0 || len(got.burst) != burstLength {
				t.Errorf("%s: %v after %v, %d faults of WeChat", got.name, got.length, got.idle, len(got.burst))
			}
		}
	}
}

// samePlan compares all but the injections, which are functions.
func samePlan(a, b []step) bool {
	return slices.EqualFunc(a, b, func(a, b step) bool {
		return a.name == b.name && a.idle == b.idle && a.length == b.length && slices.Equal(a.burst, b.burst)
	})
}

func TestNewPlan_begins_alike_with_more_rounds(t *testing.T) {
	if !samePlan(newPlan(7, 1), newPlan(7, 3)[:len(scenarios)]) {
		t.Error("it does not")
	}
}

func TestScenarios_are_complete(t *testing.T) {
	components := []string{"mysql", "redis", "wechat", "server A", "server B"}
	for _, s := range scenarios {
		if s.bound <= 0 || s.length <= 0 || s.inject == nil || !slices.Contains(components, s.component) {
			t.Errorf("%q is incomplete", s.name)
		}
	}
}

func TestPrintTable_has_a_row_for_each_fault(t *testing.T) {
	var out strings.Builder
	res := sound(t)
	res.pauses = []span{{50 * second, 51 * second}}
	res.print(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		"fault lasted 200 4xx 503 none slowest recovery",
		"mysql 4.000 s 0 0 1 20 1.000 s 0.000 s",
		"redis 1.000 s 0 0 0 20 0.100 s 0.000 s",
		"stop 1.000 s 3 0 0 21 0.400 s 0.000 s",
		"The machine paused 1.000 s in all (1 times), which is subtracted.",
	}
	if len(lines) != len(want) {
		t.Fatal(out.String())
	}
	for i := range want {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want[i] {
			t.Errorf("%q, want %q", got, want[i])
		}
	}
}

func TestFinder_finds_each_secret_where_it_is(t *testing.T) {
	secrets := map[string]secret{
		"abcdefgh": secretToken, "abcdefghij": secretCode, "0123456789": secretKey,
		"short": secretApp, "abcdefgh-other": secretOpenID,
	}
	res := results{secrets: secrets}
	find := res.finder(secretToken, secretCode, secretKey)
	for text, want := range map[string]int{
		"":                             0,
		"abcdefg":                      0,
		"abcdefgh":                     1,
		"x abcdefghij y":               2,
		"zabcdefghz 0123456789":        2,
		"012345678":                    0,
		"abcdefgh-other":               1, // only the token in it: this does not look for openids
		"0123456789abcdefgh0123456789": 3,
	} {
		if got := find([]byte(text)); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got := find([]byte("0123456789 abcdefgh")); !slices.Equal(got, []secret{secretKey, secretToken}) {
		t.Error(got)
	}
}

func TestTraffic_send_records_how_far_a_request_came(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("code") {
		case "cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half of it")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "drop":
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	tr := newTraffic(&cluster{servers: []*process.Server{
		{Process: &process.Process{Name: "up"}, Public: server.Listener.Addr().String()},
		{Process: &process.Process{Name: "down"}, Public: closed.Addr().String()},
	}})
	for _, test := range []struct {
		server int
		code   string
		is     func(request) bool
	}{
		{0, "x", func(r request) bool {
			return r.reply.Status == 503 && r.reply.RequestID == r.reply.ID && r.reply.RetryAfter == "2"
		}},
		{0, "cut", request.cut}, {0, "drop", request.connectionLost}, {1, "x", request.refused},
	} {
		r := tr.send(t.Context(), test.server, request{route: player.Login}, url.Values{"code": {test.code}})
		which := 0
		for _, is := range []func(request) bool{request.cut, request.connectionLost, request.refused, func(r request) bool { return r.reply.Status != 0 }} {
			if is(r) {
				which++
			}
		}
		if !test.is(r) || which != 1 || !r.failed() || r.uncertain() == r.refused() {
			t.Errorf("%s: %s", test.code, r.describe())
		}
	}
	if n := len(tr.recorder.requests); n != 4 || tr.recorder.lastFailed() != tr.recorder.requests[3].ended {
		t.Errorf("%d requests are recorded", n)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-seed", "7", "-rounds", "1", "-keep", "-v"}, io.Discard, io.Discard)
	if want := (options{7, 1, true, true}); err != nil || o != want {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse(nil, io.Discard, io.Discard); err != nil || o.rounds != 2 || o.keep || o.verbose {
		t.Errorf("the defaults: %+v, %v", o, err)
	}
}
