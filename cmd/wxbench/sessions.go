package main

import (
	"context"
	"fmt"

	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

// sessionKey is that of the sessions that the benchmark itself begins.
const sessionKey = "AAAAAAAAAAAAAAAAAAAAAA=="

// newStore begins sessions as wxlogin does.
func (w *world) newStore() (*session.Store, error) {
	return session.New(session.Options{
		Redis: w.storage.redis, Apps: []session.App{{AppID: appID, Secret: secret}}, AutoPipeline: true,
	})
}

// addSessions begins the sessions that exist before the measurement, of users that take no part in it.
func (w *world) addSessions(ctx context.Context) error {
	if w.sessions == 0 {
		return nil
	}
	w.remark("beginning %d sessions", w.sessions)
	store, err := w.newStore()
	if err != nil {
		return err
	}
	return inParallel(w.sessions, func(i int) error {
		_, err := store.Create(ctx, session.Session{AppID: appID, OpenID: fmt.Sprintf("o%027d", i/2), SessionKey: sessionKey})
		return err
	})
}

// loginsOfRegular is how often one of the regulars logs in in a round, so that a round has the average of the logins that
// end other sessions and those that do not.
const loginsOfRegular = 40

// regulars are the users that log in so often that they are at the cap. No two connections are at work for the same one.
func (w *world) regulars() []*wechattest.Device {
	n := max(w.connections, w.requests/loginsOfRegular)
	return w.people[max(0, len(w.people)-n):]
}

// fillIndexes begins as many sessions of each of the regulars as a user may have.
func (w *world) fillIndexes(ctx context.Context) error {
	store, err := w.newStore()
	if err != nil {
		return err
	}
	regulars := w.regulars()
	first := len(w.people) - len(regulars)
	return inParallel(len(regulars)*session.DefaultMaxPerUser, func(i int) error {
		openID := openIDOf((first + i%len(regulars)) * (w.users / len(w.people)))
		_, err := store.Create(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
		return err
	})
}
