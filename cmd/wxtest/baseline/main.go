// Command baseline is the login server that `wxtest bench` compares wxlogin with: net/http, database/sql and go-redis, used
// well, and nothing else. It has no checks, limits, logs or counts, and keeps session_keys readable in Redis. It is a yardstick:
// never put it on a network.
//
// It reads these environment variables of wxlogin: LISTEN_ADDR, INTERNAL_ADDR, MYSQL_DSN, REDIS_URL, WECHAT_API_BASE,
// WECHAT_APPID and WECHAT_SECRET.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
)

// connections is how many idle connections are kept to WeChat: as many as wxlogin keeps.
const connections = 256

const sessionTTL = 7 * 24 * time.Hour

// server holds what the routes share.
type server struct {
	weChat  *http.Client
	base    string
	appID   string
	secret  string
	redis   *redis.Client
	find    *sql.Stmt
	insert  *sql.Stmt
	update  *sql.Stmt
	readAll *sql.Stmt
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

func run() error {
	s, err := newServer()
	if err != nil {
		return err
	}
	internal := http.NewServeMux()
	internal.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	internal.HandleFunc("GET /metrics", metrics)
	internal.HandleFunc("POST /introspect", handler(s.introspect))
	failed := make(chan error, 2)
	go func() { failed <- http.ListenAndServe(os.Getenv("INTERNAL_ADDR"), internal) }()

	public := http.NewServeMux()
	public.HandleFunc("POST /onLogin", handler(s.onLogin))
	public.HandleFunc("POST /updateUserInfo", handler(s.updateUserInfo))
	go func() { failed <- http.ListenAndServe(os.Getenv("LISTEN_ADDR"), public) }()
	return <-failed
}

func newServer() (*server, error) {
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(50)
	db.SetMaxIdleConns(50)
	s := &server{
		weChat: &http.Client{Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections}},
		base:   os.Getenv("WECHAT_API_BASE"), appID: os.Getenv("WECHAT_APPID"), secret: os.Getenv("WECHAT_SECRET"),
		redis: redis.NewClient(options),
	}
	for statement, text := range map[**sql.Stmt]string{
		&s.find:    "SELECT nickname, avatar_url, gender FROM baseline_users WHERE openid = ?",
		&s.insert:  "INSERT INTO baseline_users (openid) VALUES (?)",
		&s.update:  "UPDATE baseline_users SET nickname = ?, avatar_url = ?, gender = ?, city = ?, province = ?, country = ? WHERE openid = ?",
		&s.readAll: "SELECT nickname, avatar_url, gender, city, province, country FROM baseline_users WHERE openid = ?",
	} {
		if *statement, err = db.Prepare(text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// metrics returns what the heap has cost so far, under the names of Prometheus's client.
func metrics(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\ngo_memstats_alloc_bytes_total %d\n", m.Mallocs, m.TotalAlloc)
}

// handler writes what a route returns. Every error is a 500: the benchmark ends with the first one.
func handler(route func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := route(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
}

// userInfo is the part of a profile that is stored.
type userInfo struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"`
	City      string `json:"city"`
	Province  string `json:"province"`
	Country   string `json:"country"`
}

// onLogin costs one call of WeChat, one SELECT (and one INSERT for a new user) and one SET.
func (s *server) onLogin(r *http.Request) (any, error) {
	openID, sessionKey, err := s.exchange(r)
	if err != nil {
		return nil, err
	}
	var user userInfo
	err = s.find.QueryRowContext(r.Context(), openID).Scan(&user.NickName, &user.AvatarURL, &user.Gender)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = s.insert.ExecContext(r.Context(), openID)
	}
	if err != nil {
		return nil, err
	}
	var random [32]byte
	rand.Read(random[:])
	token := base64.RawURLEncoding.EncodeToString(random[:])
	err = s.redis.Set(r.Context(), "baseline:"+token, openID+" "+sessionKey, sessionTTL).Err()
	return map[string]any{"status": http.StatusOK, "token": token, "userInfo": user}, err
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

var errDecrypt = errors.New("cannot be decrypted")

// updateUserInfo costs one GET, one UPDATE and one SELECT.
func (s *server) updateUserInfo(r *http.Request) (any, error) {
	openID, sessionKey, err := s.session(r)
	if err != nil {
		return nil, err
	}
	given, err := decrypt(sessionKey, r.PostFormValue("encryptedData"), r.PostFormValue("iv"))
	if err != nil {
		return nil, err
	}
	_, err = s.update.ExecContext(r.Context(),
		given.NickName, given.AvatarURL, given.Gender, given.City, given.Province, given.Country, openID)
	if err != nil {
		return nil, err
	}
	var user userInfo
	err = s.readAll.QueryRowContext(r.Context(), openID).Scan(
		&user.NickName, &user.AvatarURL, &user.Gender, &user.City, &user.Province, &user.Country)
	return map[string]any{"status": http.StatusOK, "userInfo": user}, err
}

// introspect costs one GET.
func (s *server) introspect(r *http.Request) (any, error) {
	openID, _, err := s.session(r)
	return map[string]any{"active": true, "openid": openID}, err
}

func (s *server) session(r *http.Request) (openID, sessionKey string, err error) {
	record, err := s.redis.Get(r.Context(), "baseline:"+r.PostFormValue("token")).Result()
	if err != nil {
		return "", "", err
	}
	openID, sessionKey, _ = strings.Cut(record, " ")
	return openID, sessionKey, nil
}

func decrypt(sessionKey, encryptedData, iv string) (info userInfo, err error) {
	key, keyErr := base64.StdEncoding.DecodeString(sessionKey)
	data, dataErr := base64.StdEncoding.DecodeString(encryptedData)
	vector, ivErr := base64.StdEncoding.DecodeString(iv)
	if err := errors.Join(keyErr, dataErr, ivErr); err != nil {
		return info, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return info, err
	}
	if len(data) == 0 || len(data)%aes.BlockSize != 0 || len(vector) != aes.BlockSize {
		return info, errDecrypt
	}
	cipher.NewCBCDecrypter(block, vector).CryptBlocks(data, data)
	padding := int(data[len(data)-1])
	if padding > len(data) {
		return info, errDecrypt
	}
	err = json.Unmarshal(data[:len(data)-padding], &info)
	return info, err
}
