package bench

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"wxlogin/cmd/wxtest/internal/process"
)

// storage is MySQL and Redis as the benchmark itself uses them.
type storage struct {
	db    *sql.DB
	dsn   string // of the database that the servers use
	name  string // of that database
	redis *redis.Client
	pid   int // of MySQL if it runs on this machine, otherwise 0
}

func openStorage(ctx context.Context, o options) (*storage, error) {
	dsn, err := mysql.ParseDSN(o.mysql)
	if err != nil {
		return nil, errors.New("-mysql is not of the form user:password@tcp(host:port)/")
	}
	redisOptions, err := redis.ParseURL(o.redis)
	if err != nil {
		return nil, errors.New("-redis is not of the form redis://host:port/number")
	}
	s := &storage{name: fmt.Sprintf("wxtest_%d", os.Getpid()), redis: redis.NewClient(redisOptions)}
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
	if s.db, err = sql.Open("mysql", s.dsn); err == nil {
		s.pid = s.findMySQL(ctx)
	}
	return err
}

// findMySQL returns the id that MySQL gives for its process, if there is such a process on this machine.
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
	if _, err := process.CPU(pid); err != nil {
		return 0
	}
	return pid
}

// close removes what the benchmark has made.
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

// used sets what MySQL and Redis have done so far. These few questions count too.
func (s *storage) used(ctx context.Context, r *round) error {
	var name string
	if err := s.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &r.Statements); err != nil {
		return err
	}
	if s.pid != 0 {
		cpu, err := process.CPU(s.pid)
		if err != nil {
			return err
		}
		r.MySQLCPU = micros(cpu)
	}
	info, err := s.redis.Info(ctx, "stats", "cpu").Result()
	if err != nil {
		return err
	}
	figures, err := process.Figures(info, ":", "total_commands_processed", "used_cpu_user", "used_cpu_sys")
	r.Commands, r.RedisCPU = figures[0], (figures[1]+figures[2])*1e6
	return err
}

// openIDOf returns the openid of user n: 28 characters that begin with "o", as WeChat's do, and that SQL can make too.
func openIDOf(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "user %d", n))
	return "o" + hex.EncodeToString(sum[:])[:27]
}

const (
	sqlOpenID = "CONCAT('o', LEFT(SHA2(CONCAT('user ', n), 256), 27))"
	sqlAvatar = "CONCAT('https://thirdwx.qlogo.cn/mmopen/vi_32/', LEFT(SHA2(n, 256), 32), '/132')"

	// chunk is how many users one statement makes.
	chunk = 100_000

	// sqlNumbers makes the numbers from 0 to 99999 of ten rows.
	sqlNumbers = `(SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d + ? AS n
FROM wxtest_digits a, wxtest_digits b, wxtest_digits c, wxtest_digits e, wxtest_digits f) numbers WHERE n < ?`
)

// fillStatements add the users from one number to below another to wxlogin's tables, and to the baseline's. A profile is of the
// usual size. The users logged in today, so that their next login writes nothing.
var fillStatements = []string{
	`INSERT INTO users (id, status, nickname, avatar_url, gender, country, province, city, language, profile_as_of,
profile_updated_at, profile_source, created_at, updated_at, last_login_at)
SELECT n + 1, 1, CONCAT('user ', n), ` + sqlAvatar + `, 1, 'China', 'Guangdong', 'Guangzhou', 'zh_CN',
'2020-01-01', '2020-01-01', 1, '2020-01-01', '2020-01-01', UTC_TIMESTAMP(3) + INTERVAL 1 HOUR FROM ` + sqlNumbers,
	"INSERT INTO wechat_identities (appid, openid, user_id, created_at) SELECT '" + appID + "', " + sqlOpenID + ", n + 1, '2020-01-01' FROM " + sqlNumbers,
	`INSERT INTO baseline_users (id, openid, nickname, avatar_url, gender, city, province, country)
SELECT n + 1, ` + sqlOpenID + `, CONCAT('user ', n), ` + sqlAvatar + `, 1, 'Guangzhou', 'Guangdong', 'China' FROM ` + sqlNumbers,
}

func (s *storage) makeTables(ctx context.Context) error {
	return s.exec(ctx, `CREATE TABLE baseline_users (
id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
openid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
nickname VARCHAR(255) NOT NULL DEFAULT '',
avatar_url VARCHAR(1024) NOT NULL DEFAULT '',
gender TINYINT NOT NULL DEFAULT 0,
city VARCHAR(128) NOT NULL DEFAULT '',
province VARCHAR(128) NOT NULL DEFAULT '',
country VARCHAR(128) NOT NULL DEFAULT ''
)`,
		"CREATE TABLE wxtest_digits (d INT NOT NULL PRIMARY KEY)",
		"INSERT INTO wxtest_digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
}

func (s *storage) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// fill makes the users from one number to below another. If they are many, it waits until MySQL has written them to disk.
func (s *storage) fill(ctx context.Context, from, to int, baseline bool) error {
	statements := fillStatements
	if !baseline {
		statements = statements[:len(statements)-1]
	}
	for begin := from; begin < to; begin += chunk {
		for _, statement := range statements {
			if _, err := s.db.ExecContext(ctx, statement, begin, min(begin+chunk, to)); err != nil {
				return err
			}
		}
	}
	if err := s.exec(ctx, "ANALYZE TABLE users, wechat_identities, baseline_users"); err != nil || to-from < chunk {
		return err
	}
	return s.flush(ctx)
}

const (
	dirtyPages   = 1000 // that may remain
	flushTimeout = 5 * time.Minute
	flushPoll    = 200 * time.Millisecond
)

// flush has InnoDB write to disk what it would write later, during a measurement.
func (s *storage) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	var percent float64
	if err := s.db.QueryRowContext(ctx, "SELECT @@GLOBAL.innodb_max_dirty_pages_pct").Scan(&percent); err != nil {
		return err
	}
	if err := s.exec(ctx, "SET GLOBAL innodb_max_dirty_pages_pct = 0"); err != nil {
		return err
	}
	defer s.exec(context.WithoutCancel(ctx), fmt.Sprintf("SET GLOBAL innodb_max_dirty_pages_pct = %f", percent))
	for ; ; process.Sleep(ctx, flushPoll) {
		var name string
		var dirty int
		err := s.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'").Scan(&name, &dirty)
		if err != nil || dirty <= dirtyPages {
			return err
		}
	}
}
