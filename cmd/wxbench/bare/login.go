package main

import (
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

const sessionTTL = 7 * 24 * time.Hour

// userInfo is the part of a profile that is kept.
type userInfo struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"`
	City      string `json:"city"`
	Province  string `json:"province"`
	Country   string `json:"country"`
}

// onLogin costs one call of WeChat, one SELECT (and one INSERT for somebody new) and one SET.
func (s *server) onLogin(w http.ResponseWriter, r *http.Request) {
	openID, sessionKey, err := s.exchange(r)
	if err != nil {
		http.Error(w, "wechat", http.StatusBadGateway)
		return
	}
	var user userInfo
	err = s.find.QueryRowContext(r.Context(), openID).Scan(&user.NickName, &user.AvatarURL, &user.Gender)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = s.insert.ExecContext(r.Context(), openID)
	}
	if err != nil {
		http.Error(w, "mysql", http.StatusInternalServerError)
		return
	}
	var random [32]byte
	rand.Read(random[:])
	token := base64.RawURLEncoding.EncodeToString(random[:])
	if err := s.redis.Set(r.Context(), "bare:"+token, openID+" "+sessionKey, sessionTTL).Err(); err != nil {
		http.Error(w, "redis", http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"status": http.StatusOK, "token": token, "userInfo": user})
}

func (s *server) exchange(r *http.Request) (openID, sessionKey string, err error) {
	query := url.Values{
		"appid": {s.appID}, "secret": {s.secret}, "js_code": {r.PostFormValue("code")}, "grant_type": {"authorization_code"},
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.base+"/sns/jscode2session?"+query.Encode(), nil)
	if err != nil {
		return "", "", err
	}
	resp, err := s.weChat.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	var exchanged struct {
		OpenID     string `json:"openid"`
		SessionKey string `json:"session_key"`
		ErrCode    int    `json:"errcode"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&exchanged); err != nil {
		return "", "", err
	}
	if exchanged.ErrCode != 0 {
		return "", "", errors.New("refused")
	}
	return exchanged.OpenID, exchanged.SessionKey, nil
}
