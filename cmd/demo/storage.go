package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	_ "github.com/go-sql-driver/mysql" // the driver that database/sql needs by name
	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

// shownColumns are the columns of user_profiles that the walk prints.
const shownColumns = "id, identities, nickname, avatar_url, gender, place, language, status, profile_complete"

// showUser prints the user's row in MySQL.
func (w *walk) showUser(ctx context.Context) error {
	db, err := sql.Open("mysql", w.mysql.DSN())
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT "+shownColumns+" FROM user_profiles")
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(errors.New("MySQL has no user"), rows.Err())
	}
	names := strings.Split(shownColumns, ", ")
	values := make([]sql.NullString, len(names))
	targets := make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return err
	}
	w.out.row("user_profiles", names, values)
	if rows.Next() {
		return errors.New("MySQL has a second user")
	}
	return rows.Err()
}

// showRedis prints every key with what can be seen of its value.
func (w *walk) showRedis(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	defer client.Close()
	keys, err := client.Keys(ctx, session.KeyPrefix+"*").Result()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("no session in Redis")
	}
	slices.Sort(keys)
	for _, key := range keys {
		value, err := describe(ctx, client, key)
		if err != nil {
			return err
		}
		w.out.key(key, value)
	}
	return nil
}

// describe tells what a key holds: the sealed record's length, or the number of sessions in the index.
func describe(ctx context.Context, client *redis.Client, key string) (string, error) {
	ttl, err := client.TTL(ctx, key).Result()
	if err != nil {
		return "", err
	}
	if ttl <= 0 {
		return "", fmt.Errorf("key %s never expires", key)
	}
	var value string
	if strings.HasPrefix(key, session.KeyPrefix+"sessions:") {
		n, err := client.ZCard(ctx, key).Result()
		if err != nil {
			return "", err
		}
		value = fmt.Sprintf("sorted set of %d session", n)
	} else {
		n, err := client.StrLen(ctx, key).Result()
		if err != nil {
			return "", err
		}
		value = fmt.Sprintf("%d bytes, sealed with AES-256-GCM", n)
	}
	return fmt.Sprintf("%s, expires in %.0f h", value, ttl.Hours()), nil
}
