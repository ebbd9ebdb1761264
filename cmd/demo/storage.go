package main

import (
	"context"
	"database/sql"
	"errors"

	_ "github.com/go-sql-driver/mysql" // the driver that database/sql needs by name
	"github.com/redis/go-redis/v9"

	"wxlogin/internal/demopage"
	"wxlogin/session"
)

// shownColumns are the columns of user_profiles that the walk prints.
var shownColumns = []string{
	"id", "identities", "nickname", "avatar_url", "gender", "place", "language", "status", "profile_complete",
}

// openStorage opens both databases as an administrator would. Both are to be closed.
func (s *stack) openStorage() (err error) {
	if s.storage.MySQL, err = sql.Open("mysql", s.mysql.DSN()); err != nil {
		return err
	}
	s.storage.Redis = redis.NewClient(&redis.Options{Addr: s.redis.Addr()})
	return nil
}

func closeStorage(s demopage.Storage) error {
	var errs []error
	if s.Redis != nil {
		errs = append(errs, s.Redis.Close())
	}
	if s.MySQL != nil {
		errs = append(errs, s.MySQL.Close())
	}
	return errors.Join(errs...)
}

// showUser prints the user's row in MySQL.
func (w *walk) showUser(ctx context.Context) error {
	row, err := w.storage.User(ctx, shownColumns)
	if err != nil {
		return err
	}
	if row == nil {
		return errors.New("MySQL has no user")
	}
	w.out.row("user_profiles", row)
	var users int
	if err := w.storage.MySQL.QueryRowContext(ctx, "SELECT COUNT(*) FROM users").Scan(&users); err != nil {
		return err
	}
	if users != 1 {
		return errors.New("MySQL has a second user")
	}
	return nil
}

// showRedis prints every key of sessions with what can be seen of its value.
func (w *walk) showRedis(ctx context.Context) error {
	keys, err := w.storage.Keys(ctx, session.DefaultKeyPrefix+"session*")
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("no session in Redis")
	}
	for _, key := range keys {
		w.out.key(key)
	}
	return nil
}
