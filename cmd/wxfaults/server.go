package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

// server is one wxlogin.
type server struct {
	child
	public, internal string // addresses
	probes           *http.Client
}

// newServer configures a server for a system whose other parts are known. extra are more environment entries.
func (s *system) newServer(name string, extra ...string) (*server, error) {
	public, err := freeAddr(s.taken)
	if err != nil {
		return nil, err
	}
	internal, err := freeAddr(s.taken)
	if err != nil {
		return nil, err
	}
	env := append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_SECRET=" + appSecret, "WECHAT_API_BASE=http://" + s.wechat.addr,
		"MYSQL_DSN=" + fmt.Sprintf(serverDSN, s.mysql.addr), "REDIS_URL=redis://" + s.redis.addr + "/0",
		"LISTEN_ADDR=" + public, "INTERNAL_ADDR=" + internal,
		"LOGIN_RATE_LIMIT=0", "UPDATE_RATE_LIMIT=0", "FAILED_UPDATE_RATE_LIMIT=0", // all phones share one address
		"LOG_FORMAT=json", "LOG_LEVEL=debug", // where a secret would show first
	}, extra...)
	return &server{
		public: public, internal: internal,
		probes: &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		child: child{
			name: "server " + name, path: filepath.Join(s.dir, "wxlogin"), env: env, log: filepath.Join(s.dir, "server-"+name+".log"),
		},
	}, nil
}

// probe asks whether the server and its storage answer.
func (s *server) probe(ctx context.Context) error {
	return getOK(ctx, s.probes, "http://"+s.internal+"/readyz")
}
