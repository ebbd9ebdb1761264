package demopage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

const (
	sessionPrefix     = session.DefaultKeyPrefix + "session:"
	indexPrefix       = session.DefaultKeyPrefix + "sessions:"
	accessTokenPrefix = session.DefaultKeyPrefix + "access_token:"
)

// Storage reads wxlogin's databases directly, as an administrator would.
type Storage struct {
	MySQL *sql.DB
	Redis *redis.Client
}

// Column is one column of a row. Value is nil if it is NULL.
type Column struct {
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

// ofOpenIDs returns the condition that users.id belongs to one of the openids, and its arguments.
func ofOpenIDs(openIDs []string) (condition string, args []any) {
	for _, openID := range openIDs {
		args = append(args, openID)
	}
	marks := strings.TrimPrefix(strings.Repeat(", ?", len(openIDs)), ", ")
	return "id IN (SELECT user_id FROM wechat_identities WHERE openid IN (" + marks + "))", args
}

// User returns the row of user_profiles that belongs to one of the openids, or the first row if there are no openids.
// It returns nil if there is no such user.
func (s Storage) User(ctx context.Context, columns []string, openIDs ...string) ([]Column, error) {
	condition, args := "TRUE", []any(nil)
	if len(openIDs) > 0 {
		condition, args = ofOpenIDs(openIDs)
	}
	rows, err := s.MySQL.QueryContext(ctx,
		"SELECT "+strings.Join(columns, ", ")+" FROM user_profiles WHERE "+condition+" ORDER BY id LIMIT 1", args...)
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

// setStatus blocks the user of these openids, or lets them in again, as an administrator does.
func (s Storage) setStatus(ctx context.Context, status int, openIDs []string) error {
	condition, args := ofOpenIDs(openIDs)
	_, err := s.MySQL.ExecContext(ctx, "UPDATE users SET status = ? WHERE "+condition, append([]any{status}, args...)...)
	return err
}

// Key describes a key in Redis.
type Key struct {
	Name      string `json:"key"`
	Value     string `json:"value"`
	ExpiresIn int    `json:"expiresIn"` // seconds
}

// Keys returns the keys that match a pattern, sorted by name.
func (s Storage) Keys(ctx context.Context, pattern string) ([]Key, error) {
	var names []string
	scan := s.Redis.Scan(ctx, 0, pattern, 100).Iterator()
	for scan.Next(ctx) {
		names = append(names, scan.Val())
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	slices.Sort(names)
	return s.describe(ctx, slices.Compact(names)) // SCAN may return a key twice
}

// describe returns the TTL and contents of the keys that exist: the length of a sealed record, or the number of sessions
// in an index.
func (s Storage) describe(ctx context.Context, names []string) ([]Key, error) {
	keys := []Key{}
	for _, name := range names {
		ttl, err := s.ttl(ctx, name)
		if err != nil {
			return nil, err
		}
		if ttl < 0 {
			continue
		}
		count, format := s.Redis.StrLen, "%d bytes, sealed with AES-256-GCM"
		if strings.HasPrefix(name, indexPrefix) {
			count, format = s.Redis.ZCard, "sorted set of %d session"
		}
		n, err := count(ctx, name).Result()
		if err != nil {
			return nil, err
		}
		keys = append(keys, Key{name, fmt.Sprintf(format, n), int(ttl.Seconds())})
	}
	return keys, nil
}

// ttl returns the TTL of a key, or less than 0 if there is no such key. It retries if the key has none, because a new key
// may get its TTL by a second command.
func (s Storage) ttl(ctx context.Context, name string) (time.Duration, error) {
	const none = -1 // go-redis's result for a key without TTL
	for range 20 {
		ttl, err := s.Redis.TTL(ctx, name).Result()
		if err != nil || ttl != none {
			return ttl, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, fmt.Errorf("key %s has no TTL", name)
}

// sessionKeys returns the Redis keys of the owner's session indexes, which may not exist, and of the sessions in them.
func (p *Page) sessionKeys(ctx context.Context, ph *phone) (indexes, sessions []string, err error) {
	for i, openID := range p.openIDs(ph) {
		index := indexPrefix + p.AppIDs[i] + ":" + openID
		hashes, err := p.Redis.ZRange(ctx, index, 0, -1).Result()
		if err != nil {
			return nil, nil, err
		}
		indexes = append(indexes, index)
		for _, hash := range hashes {
			sessions = append(sessions, sessionPrefix+hash)
		}
	}
	return indexes, sessions, nil
}

// shownColumns are the columns of user_profiles that the page shows.
var shownColumns = []string{
	"identities", "unionid", "nickname", "avatar_url", "gender", "place", "status", "profile_complete", "profile_source",
	"phone_bound", "created_at", "profile_updated_at", "last_login_at",
}

// state is what MySQL and Redis hold of one person.
type state struct {
	NickName string   `json:"nickName"` // that WeChat knows
	MySQL    []Column `json:"mysql"`    // null: no user yet
	Redis    []Key    `json:"redis"`
}

// serveState serves the phone owner's row in MySQL and keys in Redis.
func (p *Page) serveState(ph *phone, w http.ResponseWriter, r *http.Request) {
	redact := func(text string) string { return text }
	if !showsSecrets(r) {
		redact = p.stateRedactor(ph)
	}
	s, err := p.loadState(r.Context(), ph, redact)
	if err != nil {
		http.Error(w, "MySQL or Redis is unreachable", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s)
}

func (p *Page) loadState(ctx context.Context, ph *phone, redact func(string) string) (s state, err error) {
	s.NickName = ph.owner().Info.NickName
	if s.MySQL, err = p.Storage.User(ctx, shownColumns, p.openIDs(ph)...); err != nil {
		return s, err
	}
	for _, column := range s.MySQL {
		if column.Value != nil {
			*column.Value = redact(*column.Value)
		}
	}
	indexes, sessions, err := p.sessionKeys(ctx, ph)
	if err != nil {
		return s, err
	}
	names := append(indexes, sessions...)
	for _, appID := range p.AppIDs {
		names = append(names, accessTokenPrefix+appID) // all users share them
	}
	s.Redis, err = p.Storage.describe(ctx, names)
	for i := range s.Redis {
		s.Redis[i].Name = redact(s.Redis[i].Name)
	}
	return s, err
}

// stateRedactor returns a function that replaces openids, the unionid and hashes of tokens by their pseudonyms.
func (p *Page) stateRedactor(ph *phone) func(string) string {
	unionID := ph.owner().UnionID
	pairs := []string{unionID, "<" + ph.pseudonym("unionid", unionID) + ">"}
	for _, openID := range p.openIDs(ph) {
		pairs = append(pairs, openID, "<"+ph.pseudonym("openid", openID)+">")
	}
	identifiers := strings.NewReplacer(pairs...)
	return func(text string) string {
		encoded, found := strings.CutPrefix(text, sessionPrefix)
		if !found {
			return identifiers.Replace(text)
		}
		hash, _ := base64.RawURLEncoding.DecodeString(encoded) // has no pseudonym if it is malformed
		return sessionPrefix + "<SHA-256 of " + cmp.Or(ph.pseudonymOfHash(hash), "a token") + ">"
	}
}
