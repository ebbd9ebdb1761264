package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

// span is a period, in time since the start of the load.
type span struct{ sent, ended time.Duration }

// request is one request and what came of it.
type request struct {
	span
	server    string
	route     player.Route
	user      string
	longLived bool // not sent by the load

	revision  int // of an update: of its nickname
	watermark player.Watermark
	session   span // of an update: of the login that returned its token

	reply player.Reply
}

func (r request) ok() bool { return r.reply.Status == 200 }

// failed reports whether a request got no response or a 5xx.
func (r request) failed() bool { return r.reply.Status == 0 || r.reply.Status >= 500 }

// uncertain reports whether an update may have been done although no response says so.
func (r request) uncertain() bool { return r.failed() && !r.refused() }

// refused reports whether no connection was made.
func (r request) refused() bool { return r.reply.Failure == player.Refused }

// cut reports whether part of a response arrived.
func (r request) cut() bool { return r.reply.Failure != "" && r.reply.Begun }

// connectionLost reports whether a request was sent, wholly or in part, and not a byte came back.
func (r request) connectionLost() bool {
	return r.reply.Failure != "" && !r.refused() && !r.reply.Begun
}

// overlaps reports whether a request was in flight at some time of a period.
func (r request) overlaps(from, to time.Duration) bool { return r.ended >= from && r.sent <= to }

// body returns the body of a success, as far as it can be read: the check of the contract finds what cannot.
func (r request) body() (b player.Body) {
	json.Unmarshal(r.reply.Body, &b)
	return b
}

// problem returns the body of an error.
func (r request) problem() (p player.Problem) {
	json.Unmarshal(r.reply.Body, &p)
	return p
}

// describe returns what may be shown of a request.
func (r request) describe() string {
	text := fmt.Sprintf("%s of %s to %s, sent at %s, took %s, ",
		r.route, r.user, r.server, report.Seconds(r.sent), report.Seconds(r.ended-r.sent))
	switch {
	case r.refused():
		return text + "no connection"
	case r.connectionLost():
		return text + "connection lost"
	case r.cut():
		return text + "response cut"
	case r.ok():
		return text + "200"
	}
	return text + fmt.Sprintf("%d %s", r.reply.Status, r.problem().Code)
}

// secret is a kind of secret, for messages that may not show it.
type secret string

const (
	secretToken    secret = "token"
	secretCode     secret = "code"
	secretKey      secret = "session_key"
	secretApp      secret = "AppSecret"
	secretPassword secret = "password of MySQL"
	secretOpenID   secret = "openid"
)

// recorder keeps all requests, and the secrets. It is safe for concurrent use.
type recorder struct {
	start time.Time

	mu       sync.Mutex
	requests []request
	openIDs  map[string]string // by user
	secrets  map[string]secret
	pauses   []span // of the machine
	failed   time.Duration
}

func newRecorder() *recorder {
	return &recorder{
		start: time.Now(), openIDs: map[string]string{},
		secrets: map[string]secret{appSecret: secretApp, databasePassword: secretPassword},
	}
}

func (r *recorder) now() time.Duration { return time.Since(r.start) }

func (r *recorder) add(one request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, one)
	if one.failed() {
		r.failed = max(r.failed, one.ended)
	}
}

// lastFailed returns when the last failed request ended.
func (r *recorder) lastFailed() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) addSecret(kind secret, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets[value] = kind
}

func (r *recorder) addUser(user, openID string) {
	r.addSecret(secretOpenID, openID)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.openIDs[user] = openID
}

// A busy or virtual machine sometimes pauses for seconds, with everything on it. That is not the servers' time.
const (
	heartbeat = 20 * time.Millisecond
	minPause  = 100 * time.Millisecond
)

// watchPauses notes when this goroutine, which sleeps almost always, wakes far too late.
func (r *recorder) watchPauses(ctx context.Context) {
	for last := r.now(); process.Sleep(ctx, heartbeat); {
		now := r.now()
		if now-last > heartbeat+minPause {
			r.mu.Lock()
			r.pauses = append(r.pauses, span{last + heartbeat, now})
			r.mu.Unlock()
		}
		last = now
	}
}

// results are all that the checks look at.
type results struct {
	requests []request
	injected []injected
	pauses   []span
	openIDs  map[string]string // by user
	secrets  map[string]secret
	database database
	logs     map[string][]byte // by server
}

// readServers reads the servers' logs, and what the database holds in the end.
func (res *results) readServers(ctx context.Context, c *cluster) error {
	res.logs = map[string][]byte{}
	for _, s := range c.servers {
		log, err := os.ReadFile(s.Log)
		if err != nil {
			return err
		}
		res.logs[s.Name] = log
	}
	return res.database.read(ctx, c.mysql)
}

// paused returns how long the machine paused between two times.
func (res *results) paused(from, to time.Duration) (sum time.Duration) {
	for _, p := range res.pauses {
		sum += max(0, min(p.ended, to)-max(p.sent, from))
	}
	return sum
}

// took returns how long a request took while the machine ran.
func (res *results) took(r request) time.Duration {
	return r.ended - r.sent - res.paused(r.sent, r.ended)
}

// injectedAt returns the index of the fault that began last before a time, -1 before the first one.
func (res *results) injectedAt(at time.Duration) int {
	for i := len(res.injected) - 1; i >= 0; i-- {
		if at >= res.injected[i].began {
			return i
		}
	}
	return -1
}

// summary is a row of the table.
type summary struct {
	injected
	count200, count4xx, count5xx, none int
	slowest                            request
	slowestTook                        time.Duration
	recovery                           time.Duration
	last                               request // the last that failed because of the fault
}

func (res *results) summarize(one injected) summary {
	s := summary{injected: one}
	for _, r := range res.requests {
		if r.failed() && r.ended > one.returned && r.ended <= one.over {
			if took := r.ended - one.returned - res.paused(one.returned, r.ended); took > s.recovery {
				s.recovery, s.last = took, r
			}
		}
		if !r.overlaps(one.began, one.returned) {
			continue
		}
		if took := res.took(r); took > s.slowestTook {
			s.slowest, s.slowestTook = r, took
		}
		switch {
		case r.ok():
			s.count200++
		case r.reply.Status == 0:
			s.none++
		case r.reply.Status < 500:
			s.count4xx++
		default:
			s.count5xx++
		}
	}
	return s
}

// printTable prints a row for each fault.
func printTable(w io.Writer, res results) {
	t := report.Table(w)
	fmt.Fprintln(t, "fault\tlasted\t200\t4xx\t503\tnone\tslowest\trecovery\t")
	for _, one := range res.injected {
		s := res.summarize(one)
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t\n", one.name, report.Seconds(one.returned-one.began),
			s.count200, s.count4xx, s.count5xx, s.none, report.Seconds(s.slowestTook), report.Seconds(s.recovery))
	}
	t.Flush()
	if n := len(res.pauses); n > 0 {
		fmt.Fprintf(w, "The machine paused %s in all (%d times), which is subtracted.\n", report.Seconds(res.paused(0, res.pauses[n-1].ended)), n)
	}
}

// database is what MySQL holds in the end.
type database struct {
	identities []identity
	users      int
	lonely     int // users without an identity
}

// identity is a row of wechat_identities with its user.
type identity struct {
	openID   string
	userID   int64
	orphan   bool // there is no such user
	nickname string
}

func (d *database) read(ctx context.Context, m *process.MariaDB) error {
	rows, err := m.Root.QueryContext(ctx, `SELECT i.openid, i.user_id, u.id IS NULL, COALESCE(u.nickname, '')
FROM wechat_identities i LEFT JOIN users u ON u.id = i.user_id WHERE i.appid = ?`, appID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var i identity
		if err := rows.Scan(&i.openID, &i.userID, &i.orphan, &i.nickname); err != nil {
			return err
		}
		d.identities = append(d.identities, i)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return m.Root.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(NOT EXISTS (
SELECT 1 FROM wechat_identities i WHERE i.user_id = u.id)), 0) FROM users u`).Scan(&d.users, &d.lonely)
}

func (d database) byOpenID() map[string]identity {
	m := make(map[string]identity, len(d.identities))
	for _, i := range d.identities {
		m[i.openID] = i
	}
	return m
}

const prefixLength = 8 // no secret is shorter

// finder returns a function that finds secrets of some kinds in a text, and returns the kind of each in order. It looks for
// their beginnings first, because there are many.
func (res *results) finder(kinds ...secret) func(text []byte) (found []secret) {
	byPrefix := map[string][]string{}
	for value, kind := range res.secrets {
		for _, wanted := range kinds {
			if kind == wanted && len(value) >= prefixLength {
				byPrefix[value[:prefixLength]] = append(byPrefix[value[:prefixLength]], value)
			}
		}
	}
	return func(text []byte) (found []secret) {
		for i := 0; i+prefixLength <= len(text); i++ {
			for _, value := range byPrefix[string(text[i:i+prefixLength])] {
				if i+len(value) <= len(text) && string(text[i:i+len(value)]) == value {
					found = append(found, res.secrets[value])
				}
			}
		}
		return found
	}
}
