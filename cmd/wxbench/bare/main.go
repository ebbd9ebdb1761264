// Command bare is the login server that wxbench compares wxlogin with: net/http, database/sql and go-redis, used well, and
// nothing else. It checks nothing, limits nothing, logs nothing, counts nothing, and keeps session_keys readable in Redis.
// It is a yardstick: never put it on a network.
//
// It is configured by the environment variables of wxlogin that it knows: LISTEN_ADDR, INTERNAL_ADDR, MYSQL_DSN, REDIS_URL,
// WECHAT_API_BASE, WECHAT_APPID and WECHAT_SECRET.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
)

// connections is how many idle ones are kept to WeChat and to MySQL: as many as wxlogin keeps, so that none is made anew.
const connections = 256

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
		fmt.Fprintln(os.Stderr, "bare:", err)
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
	internal.HandleFunc("POST /introspect", s.introspect)
	failed := make(chan error, 2)
	go func() { failed <- http.ListenAndServe(os.Getenv("INTERNAL_ADDR"), internal) }()

	public := http.NewServeMux()
	public.HandleFunc("POST /onLogin", s.onLogin)
	public.HandleFunc("POST /updateUserInfo", s.updateUserInfo)
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
		&s.find:    "SELECT nickname, avatar_url, gender FROM bare_users WHERE openid = ?",
		&s.insert:  "INSERT INTO bare_users (openid) VALUES (?)",
		&s.update:  "UPDATE bare_users SET nickname = ?, avatar_url = ?, gender = ?, city = ?, province = ?, country = ? WHERE openid = ?",
		&s.readAll: "SELECT nickname, avatar_url, gender, city, province, country FROM bare_users WHERE openid = ?",
	} {
		if *statement, err = db.Prepare(text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// metrics tells what the heap has cost so far, under the names that Prometheus's client has for it.
func metrics(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\ngo_memstats_alloc_bytes_total %d\n", m.Mallocs, m.TotalAlloc)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
