-- The database of the login server: its tables, the views for administrators, and the record of the version.
--
-- `wxlogin migrate` makes it from nothing or from any earlier version, by the steps in store/migrations; a test holds
-- them to this file. `mysql your_database < schema.sql` makes it in an empty database, and records the version for migrate. Run again,
-- it changes nothing; on the tables of an earlier version it ends with an error at a view (1054), and migrate is what
-- helps. It runs on MySQL 8 and 9, on MariaDB 10.11 and 11.8 and on the engine of the demo.
--
-- * Times are UTC, to the millisecond, and are written by the server.
-- * openid, unionid and appid are case-sensitive (ascii_bin): two openids may differ in case only.
-- * Other text is utf8mb4_unicode_520_ci: searching ignores case and distinguishes emoji. (With utf8mb4_unicode_ci,
--   nickname LIKE 'prefix%' misses names with an emoji on MariaDB, and all emoji are equal.)
-- * There are no foreign keys, so that the tables can live in a sharded or distributed MySQL (docs/distributed-mysql.md).
--   The server keeps the tables together by transactions; the query at the end of this file finds what a hand edit or a
--   partial restore has torn apart.
-- * To block somebody: `wxlogin user block`, which records why, or UPDATE users SET status = 2 WHERE id = …; to let them in
--   again: `wxlogin user unblock`, or status = 1. Every value but 1 blocks.

SET NAMES utf8mb4;

CREATE TABLE IF NOT EXISTS users (
  id                 BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT COMMENT 'Our number for this person; gaps are normal',
  unionid            VARCHAR(64)      CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'WeChat unionid: the person over all apps of one Open Platform account; NULL = not known',
  status             TINYINT UNSIGNED NOT NULL DEFAULT 1 COMMENT '1 = active, 2 = disabled by an administrator, 3 = merged into another user, 4 = erased',
  merged_into        BIGINT UNSIGNED  NULL COMMENT 'Where status is 3: users.id of the user that took over',
  nickname           VARCHAR(255)     NOT NULL DEFAULT '' COMMENT 'Nickname; empty = not given yet',
  avatar_url         VARCHAR(1024)    NOT NULL DEFAULT '' COMMENT 'Address of the avatar picture; empty = not given yet',
  gender             TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '0 = unknown, 1 = male, 2 = female; WeChat has sent 0 since October 2021',
  country            VARCHAR(128)     NOT NULL DEFAULT '' COMMENT 'Country; WeChat has sent it empty since October 2021',
  province           VARCHAR(128)     NOT NULL DEFAULT '' COMMENT 'Province; WeChat has sent it empty since October 2021',
  city               VARCHAR(128)     NOT NULL DEFAULT '' COMMENT 'City; WeChat has sent it empty since October 2021',
  language           VARCHAR(32)      NOT NULL DEFAULT '' COMMENT 'Language, such as zh_CN; WeChat has sent zh_CN for everybody since October 2021',
  profile_as_of      DATETIME(3)      NULL COMMENT 'Watermark of the newest data that changed the profile (UTC); older data is ignored',
  profile_updated_at DATETIME(3)      NULL COMMENT 'When the profile was last changed (UTC); NULL = never filled in',
  profile_source     TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Who filled in nickname or avatar: 0 = nobody, 1 = WeChat, 2 = the person, by hand',
  phone_country_code VARCHAR(8)       CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'Country code of the phone number, digits only, such as 86; NULL = no phone bound',
  phone_number       VARCHAR(32)      CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'National phone number, digits only; NULL = no phone bound',
  phone_bound_at     DATETIME(3)      NULL COMMENT 'When the phone number was bound (UTC); NULL = no phone bound',
  created_at         DATETIME(3)      NOT NULL COMMENT 'First login (UTC)',
  updated_at         DATETIME(3)      NOT NULL COMMENT 'When the server last changed this row, last_login_at aside (UTC)',
  last_login_at      DATETIME(3)      NOT NULL COMMENT 'Last login (UTC); written at most once an hour',
  last_seen_at       DATETIME(3)      NULL COMMENT 'Last request of the user (UTC); written at most once an hour, and at the first request of a day; NULL or earlier than last_login_at = see there',
  nickname_as_of     DATETIME(3)      NULL COMMENT 'Time of the data that the nickname is from (UTC); NULL = as profile_as_of',
  avatar_as_of       DATETIME(3)      NULL COMMENT 'Time of the data that the avatar is from (UTC); NULL = as profile_as_of',
  external_id        VARCHAR(128)     CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'The user in another system of yours; NULL = none',
  PRIMARY KEY (id),
  UNIQUE KEY users_unionid (unionid),
  KEY users_created_at (created_at),
  KEY users_last_login_at (last_login_at),
  KEY users_profile_updated_at (profile_updated_at),
  KEY users_nickname (nickname),
  KEY users_phone (phone_number, phone_country_code),
  UNIQUE KEY users_external_id (external_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='One row a person: profile, status and times';

-- openid comes first in the key: logins give both columns, an administrator searches by openid alone.
CREATE TABLE IF NOT EXISTS wechat_identities (
  appid      VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'AppID of the mini-program',
  openid     VARCHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'WeChat openid: the person within this mini-program',
  user_id    BIGINT UNSIGNED NOT NULL COMMENT 'users.id of the person',
  created_at DATETIME(3)     NOT NULL COMMENT 'First login through this mini-program (UTC)',
  PRIMARY KEY (openid, appid),
  KEY wechat_identities_user_id (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='Who is who in which mini-program: (appid, openid) to user';

-- One row for each time that two users turned out to be one person. Nothing is ever deleted here but the unionid of a user
-- who was erased.
CREATE TABLE IF NOT EXISTS user_merges (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Number of the merge',
  survivor_id BIGINT UNSIGNED NOT NULL COMMENT 'users.id of the user that stayed',
  merged_id   BIGINT UNSIGNED NOT NULL COMMENT 'users.id of the user that was merged away (status 3)',
  unionid     VARCHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'WeChat unionid that showed it; NULL = not on record',
  appid       VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'AppID of the mini-program whose login told the unionid; NULL = not on record',
  merged_at   DATETIME(3)     NOT NULL COMMENT 'When they were merged (UTC)',
  PRIMARY KEY (id),
  KEY user_merges_survivor_id (survivor_id),
  KEY user_merges_merged_id (merged_id),
  KEY user_merges_merged_at (merged_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='Which users were merged into which, and why';

-- How many logins there were on which day. The servers count in memory and add to it every ten seconds; what one of them
-- had counted since then is lost where it is killed. Logins of disabled users do not count.
CREATE TABLE IF NOT EXISTS login_days (
  day          DATE            NOT NULL COMMENT 'Day in time_zone',
  appid        VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'AppID of the mini-program',
  logins       BIGINT UNSIGNED NOT NULL COMMENT 'Logins on this day, each one counted',
  new_users    BIGINT UNSIGNED NOT NULL COMMENT 'Users made on this day, by a login through this mini-program',
  active_users BIGINT UNSIGNED NOT NULL COMMENT 'Users whose first request on this day was through this mini-program',
  time_zone    VARCHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'UTC' COMMENT 'Time zone of the day: REPORT_TIME_ZONE of the server that wrote the row last; UTC before version 4',
  PRIMARY KEY (day, appid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='One row a day and mini-program: logins, new and active users';

-- What other services must follow. The numbers are in the order of the commits and have no gaps.
CREATE TABLE IF NOT EXISTS user_changes (
  seq         BIGINT UNSIGNED NOT NULL COMMENT 'Number of the change, in the order of the commits',
  kind        VARCHAR(24)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'merged, erased, disabled, enabled, phone_removed, profile_removed, external_id',
  user_id     BIGINT UNSIGNED NOT NULL COMMENT 'users.id of the user that changed; if kind is merged, the one that was merged away',
  survivor_id BIGINT UNSIGNED NULL COMMENT 'If kind is merged: users.id of the user that stayed',
  reason      VARCHAR(255)    NULL COMMENT 'If kind is disabled or enabled: why, as the administrator wrote it; otherwise person, admin or wechat: at whose request',
  actor       VARCHAR(64)     NULL COMMENT 'The administrator or the API key that asked for it',
  note        VARCHAR(255)    NULL COMMENT 'If kind is erased: why, as the administrator wrote it; if profile_removed: nickname, avatar or both',
  changed_at  DATETIME(3)     NOT NULL COMMENT 'When it changed (UTC)',
  PRIMARY KEY (seq),
  KEY user_changes_user_id (user_id),
  KEY user_changes_changed_at (changed_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='What happened to users that other services must follow';

-- The one row has the last number of user_changes. A transaction that writes there locks it until its commit.
CREATE TABLE IF NOT EXISTS user_change_counter (
  id  TINYINT UNSIGNED NOT NULL COMMENT 'Always 1',
  seq BIGINT UNSIGNED  NOT NULL COMMENT 'The last number of user_changes',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='Counter of user_changes';

INSERT INTO user_change_counter (id, seq)
SELECT v.id, 0 FROM (SELECT 1 AS id) v WHERE NOT EXISTS (SELECT c.id FROM user_change_counter c WHERE c.id = 1);

-- A row is deleted as soon as what it names is deleted.
CREATE TABLE IF NOT EXISTS pending_deletions (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Number of the deletion',
  user_id    BIGINT UNSIGNED NOT NULL COMMENT 'users.id of the user whose data it is',
  appid      VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'AppID of the sessions to end; NULL = it is a picture',
  openid     VARCHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'openid of the sessions to end; NULL = it is a picture',
  avatar_url VARCHAR(1024)   NULL COMMENT 'Picture to delete; NULL = it is sessions',
  created_at DATETIME(3)     NOT NULL COMMENT 'Since when it is to be deleted (UTC)',
  PRIMARY KEY (id),
  KEY pending_deletions_user_id (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='Sessions and pictures of erased users that are still to be deleted';

-- The views are for people: docs/admin-queries.sql asks them. Who may read them and no table sees no phone number, only
-- whether there is one and its country; deploy/mysql/20-admin-account.sh makes such an account.
--
-- They read with the rights of the account that created them (DEFINER), by `wxlogin migrate` or by this file. If that
-- account does not exist, as after a dump was restored elsewhere or when it was dropped, they answer error 1449 to root
-- and 1045 (access denied) to others: then run this file once more, as an account that stays. The servers do not need the
-- views.
--
-- MERGE: without it MySQL would put user_profiles as a whole into a temporary table for each query. The explicit collations
-- let every client compare these columns with its own text.
CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW user_profiles AS
SELECT
  u.id,
  (SELECT GROUP_CONCAT(CONCAT(i.appid, ':', i.openid) ORDER BY i.appid, i.openid SEPARATOR ', ')
     FROM wechat_identities i WHERE i.user_id = u.id) AS identities,
  u.unionid,
  u.external_id,
  u.nickname,
  u.avatar_url,
  (CASE u.gender WHEN 1 THEN 'male' WHEN 2 THEN 'female' ELSE 'unknown' END) COLLATE utf8mb4_unicode_520_ci AS gender,
  CONCAT_WS(', ', NULLIF(u.city, ''), NULLIF(u.province, ''), NULLIF(u.country, '')) AS place,
  u.language,
  (CASE u.status WHEN 1 THEN 'active' WHEN 2 THEN 'disabled' WHEN 3 THEN 'merged' WHEN 4 THEN 'erased' ELSE 'invalid' END)
    COLLATE utf8mb4_unicode_520_ci AS status,
  u.merged_into,
  (CASE WHEN CHAR_LENGTH(u.nickname) > 0 AND CHAR_LENGTH(u.avatar_url) > 0 THEN 'yes' ELSE 'no' END)
    COLLATE utf8mb4_unicode_520_ci AS profile_complete,
  (CASE WHEN u.profile_source = 2 THEN 'person'
        WHEN u.profile_source = 1 OR CHAR_LENGTH(u.nickname) > 0 OR CHAR_LENGTH(u.avatar_url) > 0 THEN 'wechat'
        ELSE 'none' END) COLLATE utf8mb4_unicode_520_ci AS profile_source,
  (CASE WHEN u.phone_number IS NULL THEN 'no' ELSE 'yes' END) COLLATE utf8mb4_unicode_520_ci AS phone_bound,
  u.phone_country_code,
  u.phone_bound_at,
  u.profile_as_of,
  u.profile_updated_at,
  u.created_at,
  u.updated_at,
  u.last_login_at,
  GREATEST(COALESCE(u.last_seen_at, u.last_login_at), u.last_login_at) AS last_seen_at
FROM users u;

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW user_identities AS
SELECT i.user_id, i.appid, i.openid, i.created_at
FROM wechat_identities i;

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW merged_users AS
SELECT m.id, m.merged_at, m.merged_id, m.survivor_id, m.unionid, m.appid
FROM user_merges m;

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW daily_logins AS
SELECT d.day, d.appid, d.logins, d.new_users, d.active_users, d.time_zone
FROM login_days d;

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW user_history AS
SELECT c.seq, c.changed_at, c.kind, c.user_id, c.survivor_id, c.reason, c.actor, c.note
FROM user_changes c;

-- Short enough for a terminal.
CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW user_list AS
SELECT
  u.id,
  u.nickname,
  (CASE u.status WHEN 1 THEN 'active' WHEN 2 THEN 'disabled' WHEN 3 THEN 'merged' WHEN 4 THEN 'erased' ELSE 'invalid' END)
    COLLATE utf8mb4_unicode_520_ci AS status,
  (CASE WHEN CHAR_LENGTH(u.nickname) > 0 AND CHAR_LENGTH(u.avatar_url) > 0 THEN 'yes' ELSE 'no' END)
    COLLATE utf8mb4_unicode_520_ci AS complete,
  (CASE WHEN u.phone_number IS NULL THEN 'no' ELSE 'yes' END) COLLATE utf8mb4_unicode_520_ci AS phone,
  (SELECT COUNT(*) FROM wechat_identities i WHERE i.user_id = u.id) AS apps,
  u.created_at,
  GREATEST(COALESCE(u.last_seen_at, u.last_login_at), u.last_login_at) AS last_seen_at
FROM users u;

-- Who is disabled, with the record of it; a block by a manual UPDATE, or by a merge with a disabled user, has none.
CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW blocked_users AS
SELECT
  u.id,
  u.nickname,
  (CASE WHEN c.kind = 'disabled' THEN c.changed_at ELSE u.updated_at END) AS blocked_at,
  (CASE WHEN c.kind = 'disabled' THEN c.reason END) AS reason,
  (CASE WHEN c.kind = 'disabled' THEN c.actor END) AS actor
FROM users u
LEFT JOIN user_changes c ON c.user_id = u.id AND c.kind IN ('disabled', 'enabled')
LEFT JOIN user_changes later ON later.user_id = u.id AND later.kind IN ('disabled', 'enabled') AND later.seq > c.seq
WHERE u.status = 2 AND later.seq IS NULL;

-- Which version this is. `wxlogin migrate` reads it and takes the steps that are missing; the server refuses an older one.
CREATE TABLE IF NOT EXISTS schema_versions (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Order in which the steps were taken',
  version_id BIGINT          NOT NULL COMMENT 'Number of the step, as in store/migrations; 0 = the beginning',
  is_applied BOOLEAN         NOT NULL COMMENT 'Always 1: steps are not taken back',
  tstamp     DATETIME(3)     NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT 'When the step was taken (UTC)',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='Steps of the schema that were taken; kept by wxlogin migrate';

-- It reads the view, so that nothing is recorded where the tables are of an earlier version.
INSERT INTO schema_versions (version_id, is_applied, tstamp)
SELECT v.version_id, 1, UTC_TIMESTAMP(3)
FROM (SELECT 0 AS version_id UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) v
WHERE v.version_id NOT IN (SELECT version_id FROM schema_versions)
  AND NOT EXISTS (SELECT p.last_seen_at FROM user_profiles p WHERE p.id = 0)
ORDER BY v.version_id;

-- Orphans. This query answers no row when all tables fit together:
--
--   SELECT 'identity without user' AS fault, i.appid, i.openid, i.user_id
--     FROM wechat_identities i LEFT JOIN users u ON u.id = i.user_id WHERE u.id IS NULL
--   UNION ALL
--   SELECT 'identity of a merged user', i.appid, i.openid, i.user_id
--     FROM wechat_identities i JOIN users u ON u.id = i.user_id WHERE u.status = 3
--   UNION ALL
--   SELECT 'identity of an erased user', i.appid, i.openid, i.user_id
--     FROM wechat_identities i JOIN users u ON u.id = i.user_id WHERE u.status = 4
--   UNION ALL
--   SELECT 'user without identity', NULL, NULL, u.id
--     FROM users u LEFT JOIN wechat_identities i ON i.user_id = u.id WHERE i.user_id IS NULL AND u.status NOT IN (3, 4)
--   UNION ALL
--   SELECT 'merged into nobody', NULL, NULL, u.id
--     FROM users u LEFT JOIN users s ON s.id = u.merged_into WHERE u.status = 3 AND s.id IS NULL
--   UNION ALL
--   SELECT 'merge that users does not show', NULL, NULL, m.merged_id
--     FROM user_merges m LEFT JOIN users u ON u.id = m.merged_id LEFT JOIN users s ON s.id = m.survivor_id
--     WHERE u.id IS NULL OR s.id IS NULL OR u.status <> 3;
