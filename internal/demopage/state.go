package demopage

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// shownColumns are the columns of user_profiles that the page shows.
var shownColumns = []string{
	"identities", "unionid", "nickname", "avatar_url", "gender", "place", "status", "profile_complete", "profile_source",
	"phone_bound", "created_at", "profile_updated_at", "last_login_at",
}

// state is what MySQL and Redis hold of one person.
type state struct {
	Person personState `json:"person"`
	MySQL  *mysqlState `json:"mysql"` // null: no user yet
	Redis  []keyState  `json:"redis"`
}

type personState struct {
	NickName string `json:"nickName"`
}

type mysqlState struct {
	Columns []columnState `json:"columns"`
}

type columnState struct {
	Name  string  `json:"name"`
	Value *string `json:"value"` // null: NULL
}

type keyState struct {
	Key       string `json:"key"`
	Value     string `json:"value"`
	ExpiresIn int    `json:"expiresIn"` // seconds
}

// serveState serves the phone owner's row in MySQL and keys in Redis.
func (p *Page) serveState(ph *phone, w http.ResponseWriter, r *http.Request) {
	s, err := p.loadState(r.Context(), ph)
	if err != nil {
		http.Error(w, "MySQL or Redis is unreachable", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s)
}

func (p *Page) loadState(ctx context.Context, ph *phone) (state, error) {
	openIDs := p.openIDs(ph)
	replacer := identifierReplacer(ph, openIDs)
	s := state{Person: personState{NickName: ph.owner().Info.NickName}, Redis: []keyState{}}
	row, err := p.storage.User(ctx, shownColumns, openIDs...)
	if err != nil {
		return s, err
	}
	if row != nil {
		s.MySQL = &mysqlState{}
	}
	for _, column := range row {
		shown := columnState{Name: column.Name}
		if column.Value.Valid {
			text := replacer.Replace(column.Value.String)
			shown.Value = &text
		}
		s.MySQL.Columns = append(s.MySQL.Columns, shown)
	}
	keys, err := p.redisKeys(ctx, ph)
	for _, key := range keys {
		s.Redis = append(s.Redis, keyState{Key: ph.redactTokenHash(replacer.Replace(key.Name)), Value: key.Value, ExpiresIn: int(key.TTL.Seconds())})
	}
	return s, err
}

// redisKeys returns the owner's keys in Redis, and those that all users share.
func (p *Page) redisKeys(ctx context.Context, ph *phone) ([]Key, error) {
	indexes := p.indexKeys(ph)
	sessions, err := p.storage.sessionKeys(ctx, indexes)
	if err != nil {
		return nil, err
	}
	names := slices.Concat(indexes, sessions)
	for _, appID := range p.AppIDs {
		names = append(names, accessTokenPrefix+appID)
	}
	return p.storage.describeAll(ctx, names)
}

// identifierReplacer returns a replacer of openids and the unionid by their pseudonyms.
func identifierReplacer(ph *phone, openIDs []string) *strings.Replacer {
	unionID := ph.owner().UnionID
	pairs := []string{unionID, "<" + ph.pseudonym("unionid", unionID) + ">"}
	for _, openID := range openIDs {
		pairs = append(pairs, openID, "<"+ph.pseudonym("openid", openID)+">")
	}
	return strings.NewReplacer(pairs...)
}

// redactTokenHash replaces the token hash at the end of a session key by the token's pseudonym.
func (ph *phone) redactTokenHash(key string) string {
	encoded, found := strings.CutPrefix(key, sessionPrefix)
	if !found {
		return key
	}
	hash, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return key
	}
	if name := ph.pseudonymOfHash(hash); name != "" {
		return sessionPrefix + "<SHA-256 of " + name + ">"
	}
	return sessionPrefix + "<SHA-256 of a token>"
}
