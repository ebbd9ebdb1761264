package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// openIDOf is the openid of user n: 28 characters that begin with "o", as WeChat's are, and that SQL can make too.
func openIDOf(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "user %d", n))
	return "o" + hex.EncodeToString(sum[:])[:27]
}

const sqlOpenID = "CONCAT('o', LEFT(SHA2(CONCAT('user ', n), 256), 27))"

// chunk is how many users one statement makes.
const chunk = 100_000

// digits makes the numbers from 0 to 99999 of ten rows.
const digits = `(SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d + ? AS n
FROM wxbench_digits a, wxbench_digits b, wxbench_digits c, wxbench_digits e, wxbench_digits f) numbers WHERE n < ?`

// fillStatements give wxlogin's tables, and the bare handler's, the users from one number to below another. A profile is
// of the usual size. They logged in today, so that their next login writes nothing.
var fillStatements = []string{
	`INSERT INTO users (id, status, nickname, avatar_url, gender, country, province, city, language, profile_as_of,
profile_updated_at, profile_source, created_at, updated_at, last_login_at)
SELECT n + 1, 1, CONCAT('user ', n), CONCAT('https://thirdwx.qlogo.cn/mmopen/vi_32/', LEFT(SHA2(n, 256), 32), '/132'), 1, 'China', 'Guangdong', 'Guangzhou', 'zh_CN',
'2020-01-01', '2020-01-01', 1, '2020-01-01', '2020-01-01', UTC_TIMESTAMP(3) + INTERVAL 1 HOUR FROM ` + digits,
	"INSERT INTO wechat_identities (appid, openid, user_id, created_at) SELECT '" + appID + "', " + sqlOpenID + ", n + 1, '2020-01-01' FROM " + digits,
	`INSERT INTO bare_users (id, openid, nickname, avatar_url, gender, city, province, country)
SELECT n + 1, ` + sqlOpenID + `, CONCAT('user ', n), CONCAT('https://thirdwx.qlogo.cn/mmopen/vi_32/', LEFT(SHA2(n, 256), 32), '/132'), 1, 'Guangzhou', 'Guangdong', 'China' FROM ` + digits,
}

var bareSchema = []string{
	`CREATE TABLE bare_users (
id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
openid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
nickname VARCHAR(255) NOT NULL DEFAULT '',
avatar_url VARCHAR(1024) NOT NULL DEFAULT '',
gender TINYINT NOT NULL DEFAULT 0,
city VARCHAR(128) NOT NULL DEFAULT '',
province VARCHAR(128) NOT NULL DEFAULT '',
country VARCHAR(128) NOT NULL DEFAULT ''
)`,
	"CREATE TABLE wxbench_digits (d INT NOT NULL PRIMARY KEY)",
	"INSERT INTO wxbench_digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
}

func (s *storage) makeTables(ctx context.Context) error {
	for _, statement := range bareSchema {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// fill makes the users from number from on, below to, and where they are many waits until MySQL has nothing left to do for
// them. The bare handler's are the last of the statements.
func (s *storage) fill(ctx context.Context, from, to int, bare bool) error {
	statements := fillStatements
	if !bare {
		statements = statements[:len(statements)-1]
	}
	for begin := from; begin < to; begin += chunk {
		for _, statement := range statements {
			if _, err := s.db.ExecContext(ctx, statement, begin, min(begin+chunk, to)); err != nil {
				return err
			}
		}
	}
	if _, err := s.db.ExecContext(ctx, "ANALYZE TABLE users, wechat_identities, bare_users"); err != nil || to-from < chunk {
		return err
	}
	return s.settle(ctx)
}

const (
	settled     = 1000 // pages that may wait to be written
	settlePause = 200 * time.Millisecond
	settleLimit = 5 * time.Minute
)

// settle has InnoDB write to disk what it would write later, while others are measured.
func (s *storage) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var percent float64
	if err := s.db.QueryRowContext(ctx, "SELECT @@GLOBAL.innodb_max_dirty_pages_pct").Scan(&percent); err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, "SET GLOBAL innodb_max_dirty_pages_pct = 0"); err != nil {
		return err
	}
	defer s.db.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("SET GLOBAL innodb_max_dirty_pages_pct = %f", percent))
	for ; ; wait(ctx, settlePause) {
		var name string
		var dirty int
		if err := s.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'").Scan(&name, &dirty); err != nil || dirty <= settled {
			return err
		}
	}
}
