package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
)

// storage is MySQL and Redis as the benchmark itself uses them.
type storage struct {
	db    *sql.DB
	dsn   string // of the database that the servers use
	name  string // of that database
	redis *redis.Client
	pid   int // of MySQL, where it runs on this machine; 0 otherwise
}

func openStorage(ctx context.Context, c config) (*storage, error) {
	dsn, err := mysql.ParseDSN(c.mysql)
	if err != nil {
		return nil, errors.New("-mysql is not of the form user:password@tcp(host:port)/")
	}
	options, err := redis.ParseURL(c.redis)
	if err != nil {
		return nil, errors.New("-redis is not of the form redis://host:port/number")
	}
	s := &storage{name: fmt.Sprintf("wxbench_%d", os.Getpid()), redis: redis.NewClient(options)}
	if n, err := s.redis.DBSize(ctx).Result(); err != nil || n != 0 {
		return nil, errors.Join(err, fmt.Errorf("-redis: the database holds %d keys and would be emptied in the end: choose an empty one", n), s.redis.Close())
	}
	if err := s.openDatabase(ctx, dsn); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openDatabase makes the database.
func (s *storage) openDatabase(ctx context.Context, dsn *mysql.Config) error {
	dsn.DBName = ""
	server, err := sql.Open("mysql", dsn.FormatDSN())
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := server.ExecContext(ctx, "CREATE DATABASE "+s.name+" CHARACTER SET utf8mb4"); err != nil {
		return err
	}
	dsn.DBName = s.name
	s.dsn = dsn.FormatDSN()
	s.db, err = sql.Open("mysql", s.dsn)
	if err == nil {
		s.pid = s.findMySQL(ctx)
	}
	return err
}

// findMySQL finds the process of MySQL by its own word, and believes it where such a process is on this machine.
func (s *storage) findMySQL(ctx context.Context) int {
	var file, dir string
	if err := s.db.QueryRowContext(ctx, "SELECT @@pid_file, @@datadir").Scan(&file, &dir); err != nil {
		return 0
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	text, _ := os.ReadFile(file)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	if _, err := cpuTime(pid); err != nil {
		return 0
	}
	return pid
}

// close takes away what the benchmark has made.
func (s *storage) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	if s.db != nil {
		_, err := s.db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+s.name)
		errs = append(errs, err, s.db.Close())
	}
	return errors.Join(append(errs, s.redis.FlushDB(ctx).Err(), s.redis.Close())...)
}

// work is what MySQL and Redis have done so far.
type work struct {
	statements, commands int64
	mysql, redis         time.Duration // CPU
}

// done asks for it. The few questions count themselves.
func (s *storage) done(ctx context.Context) (w work, err error) {
	var name string
	if err := s.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &w.statements); err != nil {
		return work{}, err
	}
	if s.pid != 0 {
		if w.mysql, err = cpuTime(s.pid); err != nil {
			return work{}, err
		}
	}
	info, err := s.redis.Info(ctx, "stats", "cpu").Result()
	if err != nil {
		return work{}, err
	}
	commands, user, system := figure(info, "total_commands_processed"), figure(info, "used_cpu_user"), figure(info, "used_cpu_sys")
	w.commands, w.redis = int64(commands), time.Duration((user+system)*float64(time.Second))
	return w, nil
}

// figure finds a figure in what INFO tells.
func figure(info, name string) float64 {
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(line, name+":"); ok {
			value, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
			return value
		}
	}
	return 0
}
