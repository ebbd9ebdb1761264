package faults

import (
	"context"
	"fmt"
	"io"
	"time"

	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

// results are all that the checks look at.
type results struct {
	requests []request
	injected []injected
	pauses   []span            // of the machine
	openIDs  map[string]string // by user
	erased   map[string]bool   // users who were erased: true, or may have been: false
	secrets  map[string]secret
	database database
	pictures map[string]bool   // files in AVATAR_DIR
	logs     map[string][]byte // by server
}

// injected is when a fault was there, in the recorder's time.
type injected struct {
	scenario
	began    time.Duration
	returned time.Duration // the component answered its probe
	over     time.Duration // the next fault began, or the load ended
	stopErr  error         // why an orderly stop failed
}

// meets reports whether a request was in flight at some time of a fault.
func (i injected) meets(r request) bool { return r.ended >= i.began && r.sent <= i.returned }

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
		if !one.meets(r) {
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

// print prints a row for each fault.
func (res *results) print(w io.Writer) {
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
	users      int // but for those erased
	lonely     int // users without an identity, likewise
	erased     erasedUsers
}

// erasedUsers are what MySQL holds of erased users.
type erasedUsers struct {
	users   int
	filled  int // of which something personal is left
	records int // in user_changes
	twice   int // users who have two of these
	pending int // sessions and pictures that are still to be deleted
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
FROM wxlogin.wechat_identities i LEFT JOIN wxlogin.users u ON u.id = i.user_id WHERE i.appid = ?`, appID)
	if err != nil {
		return err
	}
	defer rows.Close()
	d.identities = nil
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
	err = m.Root.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(NOT EXISTS (
SELECT 1 FROM wxlogin.wechat_identities i WHERE i.user_id = u.id)), 0) FROM wxlogin.users u WHERE u.status NOT IN (3, 4)`).Scan(&d.users, &d.lonely)
	if err != nil {
		return err
	}
	return m.Root.QueryRowContext(ctx, `SELECT COUNT(*),
(SELECT COUNT(*) FROM wxlogin.users u LEFT JOIN wxlogin.users s ON s.id = u.merged_into WHERE (u.status = 4 OR s.status = 4)
  AND (u.nickname <> '' OR u.avatar_url <> '' OR u.phone_number IS NOT NULL OR u.unionid IS NOT NULL)),
(SELECT COUNT(*) FROM wxlogin.user_changes WHERE kind = 'erased'),
(SELECT COUNT(*) - COUNT(DISTINCT user_id) FROM wxlogin.user_changes WHERE kind = 'erased'),
(SELECT COUNT(*) FROM wxlogin.pending_deletions)
FROM wxlogin.users WHERE status = 4`).Scan(&d.erased.users, &d.erased.filled, &d.erased.records, &d.erased.twice, &d.erased.pending)
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
