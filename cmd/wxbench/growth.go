package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"wxlogin/session"
)

// grow measures a returning login with more and more users in MySQL.
func (w *world) grow(ctx context.Context, stdout io.Writer) error {
	if err := w.addSessions(ctx); err != nil {
		return err
	}
	table := newTable(stdout, "users")
	for i, users := range w.growth {
		if i > 0 {
			w.remark("adding users up to %d", users)
			if err := w.storage.fill(ctx, w.growth[i-1], users, false); err != nil {
				return err
			}
			w.choosePeople(users)
		}
		result, err := w.compareKind(ctx, returning)
		if err != nil {
			return err
		}
		row(table, strconv.Itoa(users), medians(result.WXLogin), "")
	}
	return table.Flush()
}

// addSessions begins as many sessions as are to be there before, of people who take no part.
func (w *world) addSessions(ctx context.Context) error {
	if w.sessions == 0 {
		return nil
	}
	w.remark("beginning %d sessions", w.sessions)
	store, err := session.New(session.Options{Redis: w.storage.redis, Apps: []session.App{{AppID: appID, Secret: secret}}})
	if err != nil {
		return err
	}
	return inParallel(w.sessions, func(i int) error {
		_, err := store.Create(ctx, session.Session{AppID: appID, OpenID: fmt.Sprintf("o%027d", i/2), SessionKey: "AAAAAAAAAAAAAAAAAAAAAA=="})
		return err
	})
}
