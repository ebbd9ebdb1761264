package demopage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

const (
	sessionPrefix = session.DefaultKeyPrefix + "session:"
	indexPrefix   = session.DefaultKeyPrefix + "sessions:"

	accessTokenPrefix = session.DefaultKeyPrefix + "access_token:"
)

// Storage reads wxlogin's databases directly, as an administrator would.
type Storage struct {
	MySQL *sql.DB
	Redis *redis.Client
}

// Column is one column of a row. If Value is not Valid, it is NULL.
type Column struct {
	Name  string
	Value sql.NullString
}

// User returns the row of user_profiles that belongs to one of the openids, or the first row if there are no openids.
// It returns nil if there is no such user.
func (s Storage) User(ctx context.Context, columns []string, openIDs ...string) ([]Column, error) {
	query, args := "SELECT "+strings.Join(columns, ", ")+" FROM user_profiles", []any{}
	if len(openIDs) > 0 {
		query += " WHERE id IN (SELECT user_id FROM wechat_identities WHERE openid IN (?" + strings.Repeat(", ?", len(openIDs)-1) + "))"
		for _, openID := range openIDs {
			args = append(args, openID)
		}
	}
	rows, err := s.MySQL.QueryContext(ctx, query+" ORDER BY id LIMIT 1", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	row, targets := make([]Column, len(columns)), make([]any, len(columns))
	for i := range row {
		row[i].Name = columns[i]
		targets[i] = &row[i].Value
	}
	return row, rows.Scan(targets...)
}

// Key describes a key in Redis.
type Key struct {
	Name  string
	Value string
	TTL   time.Duration
}

// Keys returns the keys that match a pattern, sorted by name.
func (s Storage) Keys(ctx context.Context, pattern string) ([]Key, error) {
	names, err := s.scanKeys(ctx, pattern)
	if err != nil {
		return nil, err
	}
	return s.describeAll(ctx, names)
}

// describeAll describes the keys that exist.
func (s Storage) describeAll(ctx context.Context, names []string) ([]Key, error) {
	keys := make([]Key, 0, len(names))
	for _, name := range names {
		key, err := s.describe(ctx, name)
		if err != nil {
			return nil, err
		}
		if key.TTL != ttlMissing {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// ttlNone and ttlMissing are go-redis's results of TTL for a key without TTL and for a key that does not exist.
const (
	ttlNone    = -1 * time.Nanosecond
	ttlMissing = -2 * time.Nanosecond
)

func (s Storage) scanKeys(ctx context.Context, pattern string) ([]string, error) {
	var names []string
	scan := s.Redis.Scan(ctx, 0, pattern, 100).Iterator()
	for scan.Next(ctx) {
		names = append(names, scan.Val())
	}
	slices.Sort(names)
	return slices.Compact(names), scan.Err() // SCAN may return a key twice
}

// describe returns a key's TTL and contents: the length of a sealed record, or the number of sessions in an index.
func (s Storage) describe(ctx context.Context, name string) (Key, error) {
	key := Key{Name: name}
	var err error
	if key.TTL, err = s.ttl(ctx, name); err != nil || key.TTL == ttlMissing {
		return key, err
	}
	var n int64
	if strings.HasPrefix(name, indexPrefix) {
		n, err = s.Redis.ZCard(ctx, name).Result()
		key.Value = fmt.Sprintf("sorted set of %d session", n)
	} else {
		n, err = s.Redis.StrLen(ctx, name).Result()
		key.Value = fmt.Sprintf("%d bytes, sealed with AES-256-GCM", n)
	}
	return key, err
}

// ttl returns the TTL of a key. It retries if there is none, because a new key may get its TTL by a second command.
func (s Storage) ttl(ctx context.Context, name string) (time.Duration, error) {
	for range 20 {
		ttl, err := s.Redis.TTL(ctx, name).Result()
		if err != nil || ttl != ttlNone {
			return ttl, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return 0, fmt.Errorf("key %s has no TTL", name)
}

// indexKey returns the key of the index of one user's sessions.
func indexKey(appID, openID string) string { return indexPrefix + appID + ":" + openID }

// sessionKeys returns the keys of the sessions in these indexes.
func (s Storage) sessionKeys(ctx context.Context, indexes []string) ([]string, error) {
	var sessions []string
	for _, index := range indexes {
		hashes, err := s.Redis.ZRange(ctx, index, 0, -1).Result()
		if err != nil {
			return nil, err
		}
		for _, hash := range hashes {
			sessions = append(sessions, sessionPrefix+hash)
		}
	}
	return sessions, nil
}
