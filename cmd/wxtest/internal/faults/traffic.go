package faults

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
)

// traffic sends requests and records them.
type traffic struct {
	cluster  *cluster
	client   *player.Client
	recorder *recorder
}

func newTraffic(c *cluster) *traffic {
	client := &player.Client{Transport: player.NewTransport(4 * phones), Timeout: requestTimeout}
	for _, s := range c.servers {
		client.Servers = append(client.Servers, "http://"+s.Public)
	}
	return &traffic{cluster: c, client: client, recorder: newRecorder()}
}

// send sends a form to a server and records the request. r says what it is about; send fills in the rest.
func (t *traffic) send(ctx context.Context, server int, r request, form url.Values) request {
	return t.sendBody(ctx, server, r, player.Request{Form: form.Encode()})
}

func (t *traffic) sendBody(ctx context.Context, server int, r request, body player.Request) request {
	r.server = t.cluster.servers[server].Name
	body.Route, body.Server = r.route, server
	r.sent = t.recorder.now()
	r.reply = t.client.Send(ctx, body)
	r.ended = t.recorder.now()
	t.recorder.add(r)
	return r
}

// account records what only the simulator knows of a person: the openid and the present session_key. user is the person's
// account at the servers.
func (t *traffic) account(ctx context.Context, person, user string) error {
	openID, key, err := t.cluster.simulator.Account(ctx, person)
	if err == nil {
		t.recorder.addUser(user, openID)
		t.recorder.addSecret(secretKey, key)
	}
	return err
}

func (t *traffic) code(ctx context.Context, person string) (string, error) {
	code, err := t.cluster.simulator.Login(ctx, person)
	if err == nil {
		t.recorder.addSecret(secretCode, code)
	}
	return code, err
}

func (t *traffic) login(ctx context.Context, server int, user, code string, longLived bool) (session, request) {
	r := t.send(ctx, server, request{route: player.Login, user: user, longLived: longLived}, url.Values{"code": {code}})
	if !r.ok() {
		return session{}, r
	}
	s := session{user: user, token: r.body().Token, login: r.span, longLived: longLived}
	t.recorder.addSecret(secretToken, s.token)
	return s, r
}

// session is what a login returned.
type session struct {
	user, token string
	login       span
	longLived   bool
}

// update sends a profile, with more fields of the form if there are any.
func (t *traffic) update(ctx context.Context, server int, s session, data player.Sealed, more url.Values) request {
	_, revision, _ := player.ReadNickname(data.UserInfo.NickName)
	form := data.Form()
	form.Set("token", s.token)
	maps.Copy(form, more)
	return t.send(ctx, server, request{
		route: player.Update, user: s.user, longLived: s.longLived, revision: revision, watermark: data.Watermark, session: s.login,
	}, form)
}

// longLived are sessions that began before a fault and are used after it, and after all later ones. They must still work,
// except for those that Redis has lost.
type longLived struct {
	*traffic
	number   int
	sessions []longLivedSession
}

type longLivedSession struct {
	session
	data player.Sealed // under this session's key, to be sent again and again
}

const longLivedTimeout = 5 * time.Second

// login adds a session at each server. There is no fault now: a busy machine may need a second attempt.
func (l *longLived) login(ctx context.Context) error {
	for i, s := range l.cluster.servers {
		attempt := func(ctx context.Context) error { return l.loginAt(ctx, i) }
		if err := process.Await(ctx, s.Name, longLivedTimeout, attempt); err != nil {
			return err
		}
	}
	return nil
}

func (l *longLived) loginAt(ctx context.Context, server int) error {
	l.number++
	user := fmt.Sprintf("k%02d", l.number)
	if err := l.account(ctx, user, user); err != nil {
		return err
	}
	code, err := l.code(ctx, user)
	if err != nil {
		return err
	}
	data, err := l.cluster.simulator.UserInfo(ctx, user, player.Nickname(user, 1))
	if err != nil {
		return err
	}
	s, r := l.traffic.login(ctx, server, user, code, true)
	if !r.ok() {
		return fmt.Errorf("a login before the fault is answered %d %s", r.reply.Status, r.problem().Code)
	}
	l.sessions = append(l.sessions, longLivedSession{s, data})
	return nil
}

// comeBack uses every session at every server, and forgets those that are refused.
func (l *longLived) comeBack(ctx context.Context) {
	l.sessions = slices.DeleteFunc(l.sessions, func(s longLivedSession) bool {
		lost := false
		for i := range l.cluster.servers {
			r := l.update(ctx, i, s.session, s.data, nil)
			lost = lost || r.reply.Status == 401
		}
		return lost
	})
}
