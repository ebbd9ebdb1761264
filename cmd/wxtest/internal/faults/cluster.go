package faults

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
)

const (
	appID            = "wx00000000faults0"
	appSecret        = "5ec2e7ffau17ffau17ffau17ffau1799"
	databasePassword = "pw-of-the-fault-suite"
)

// cluster is all the processes, and the folder that they run in.
type cluster struct {
	dir       string
	processes map[string]*process.Process // by the names that scenarios have for them
	mysql     *process.MariaDB
	simulator *player.Simulator
	servers   []*process.Server
}

// startCluster builds and starts everything. If that fails, it leaves nothing behind.
func startCluster(ctx context.Context) (*cluster, error) {
	dir, err := os.MkdirTemp("", "wxtest")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, processes: map[string]*process.Process{}}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.close(), os.RemoveAll(dir))
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context) (err error) {
	if err := os.Chmod(c.dir, 0o755); err != nil { // the database runs as another user
		return err
	}
	var group errgroup.Group
	group.Go(func() error { return process.Build(ctx, c.dir, "wxlogin/cmd/wxlogin", "wxlogin/cmd/wxsim") })
	group.Go(func() (err error) {
		c.mysql, err = process.NewMariaDB(ctx, c.dir)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	redis, wechat := process.NewRedis(c.dir), process.NewSimulator(c.dir, filepath.Join(c.dir, "wxsim"), appID, appSecret)
	c.processes["mysql"], c.processes["redis"], c.processes["wechat"] = c.mysql.Process, redis, wechat
	for _, p := range c.processes {
		if err := p.StartReady(ctx); err != nil {
			return err
		}
	}
	c.simulator = &player.Simulator{
		Base: "http://" + wechat.Addr, Client: &http.Client{Transport: player.NewTransport(phones), Timeout: 500 * time.Millisecond},
		InFlight: make(chan struct{}, 2*phones), CoolDown: 300 * time.Millisecond,
	}
	if err := c.mysql.Prepare(ctx, databasePassword, "filler"); err != nil {
		return err
	}
	return c.startServers(ctx, redis.Addr, wechat.Addr)
}

func (c *cluster) startServers(ctx context.Context, redisAddr, wechatAddr string) error {
	path, dsn := filepath.Join(c.dir, "wxlogin"), c.mysql.DSN("wxlogin:"+databasePassword, "wxlogin")
	if err := process.Migrate(ctx, path, dsn); err != nil {
		return err
	}
	for _, name := range []string{"server A", "server B"} {
		s, err := process.StartServer(ctx, c.dir, name, path, "MYSQL_DSN="+dsn, "REDIS_URL=redis://"+redisAddr+"/0",
			"WECHAT_APPID="+appID, "WECHAT_SECRET="+appSecret, "WECHAT_API_BASE=http://"+wechatAddr,
			"AVATAR_DIR="+c.avatars(), "PUBLIC_URL=http://127.0.0.1", "UPLOAD_DAILY_LIMIT=0",
			"LOGIN_RATE_LIMIT=0", "UPDATE_RATE_LIMIT=0", "FAILED_UPDATE_RATE_LIMIT=0", // all users share one address
			"LOG_FORMAT=json", "LOG_LEVEL=debug") // a secret would show there first
		c.servers, c.processes[name] = append(c.servers, s), s.Process
		if err != nil {
			return err
		}
	}
	return nil
}

// close ends all processes.
func (c *cluster) close() (err error) {
	for _, p := range c.processes {
		err = errors.Join(err, p.Kill())
	}
	if c.mysql != nil {
		err = errors.Join(err, c.mysql.Root.Close())
	}
	return err
}

func (c *cluster) avatars() string { return filepath.Join(c.dir, "avatars") }

// readPictures returns the names of the pictures.
func (c *cluster) readPictures() (map[string]bool, error) {
	entries, err := os.ReadDir(c.avatars())
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	return names, err
}

// readLogs returns the servers' logs by their names.
func (c *cluster) readLogs() (logs map[string][]byte, err error) {
	logs = map[string][]byte{}
	for _, s := range c.servers {
		if logs[s.Name], err = os.ReadFile(s.Log); err != nil {
			return nil, err
		}
	}
	return logs, nil
}
