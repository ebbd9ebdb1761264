-- +goose NO TRANSACTION
-- +goose Up
-- Erased users, what was removed at a person's request, the record of changes that other services follow, last_seen_at, and
-- the users' ids in other systems.
--
-- Every statement may run again. The new columns are empty at first, and servers of the previous version neither read nor
-- write them. Adding them is instant on MySQL 8.0.29 and later and on MariaDB. The columns are named from the last to
-- the first: see the second step.
--
-- The account of the servers needs DELETE from now on: see docs/configuration.md. Without it they serve logins as before, but
-- cannot erase a user.

SET NAMES utf8mb4;

SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'last_seen_at');
SET @change = IF(@missing, 'ALTER TABLE users
  ADD COLUMN external_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT ''The user in another system of yours; NULL = none'' AFTER last_login_at,
  ADD COLUMN avatar_as_of DATETIME(3) NULL COMMENT ''Time of the data that the avatar is from (UTC); NULL = as profile_as_of'' AFTER last_login_at,
  ADD COLUMN nickname_as_of DATETIME(3) NULL COMMENT ''Time of the data that the nickname is from (UTC); NULL = as profile_as_of'' AFTER last_login_at,
  ADD COLUMN last_seen_at DATETIME(3) NULL COMMENT ''Last request of the user (UTC); written at most once an hour, and at the first request of a day; NULL or earlier than last_login_at = see there'' AFTER last_login_at', 'SELECT 1');
PREPARE change_users FROM @change;
EXECUTE change_users;
DEALLOCATE PREPARE change_users;

SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.statistics
  WHERE table_schema = DATABASE() AND table_name = 'users' AND index_name = 'users_external_id');
SET @change = IF(@missing, 'CREATE UNIQUE INDEX users_external_id ON users (external_id)', 'SELECT 1');
PREPARE change_users FROM @change;
EXECUTE change_users;
DEALLOCATE PREPARE change_users;

ALTER TABLE users MODIFY COLUMN status TINYINT UNSIGNED NOT NULL DEFAULT 1 COMMENT '1 = active, 2 = disabled by an administrator, 3 = merged into another user, 4 = erased';

SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'login_days' AND column_name = 'time_zone');
SET @change = IF(@missing, 'ALTER TABLE login_days
  ADD COLUMN time_zone VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''UTC'' COMMENT ''Time zone of the day: REPORT_TIME_ZONE of the server that wrote the row last; UTC before version 4''', 'SELECT 1');
PREPARE change_users FROM @change;
EXECUTE change_users;
DEALLOCATE PREPARE change_users;

ALTER TABLE login_days MODIFY COLUMN day DATE NOT NULL COMMENT 'Day in time_zone';
ALTER TABLE login_days MODIFY COLUMN active_users BIGINT UNSIGNED NOT NULL COMMENT 'Users whose first request on this day was through this mini-program';

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
