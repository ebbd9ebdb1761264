-- +goose NO TRANSACTION
-- +goose Up
-- The daily numbers of logins, and views for an account that may read nothing else.
--
-- Every statement may run again. Nothing is changed but user_profiles: it gets a column, and like the other views it reads
-- with the rights of the account that takes this step, no longer with the reader's.

SET NAMES utf8mb4;

-- How many logins there were on which day. The servers count in memory and add to it every ten seconds; what one of them
-- had counted since then is lost where it is killed. Logins of disabled users do not count.
CREATE TABLE IF NOT EXISTS login_days (
  day          DATE            NOT NULL COMMENT 'Day (UTC)',
  appid        VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'AppID of the mini-program',
  logins       BIGINT UNSIGNED NOT NULL COMMENT 'Logins on this day, each one counted',
  new_users    BIGINT UNSIGNED NOT NULL COMMENT 'Users made on this day, by a login through this mini-program',
  active_users BIGINT UNSIGNED NOT NULL COMMENT 'Users whose first login on this day was through this mini-program; one within an hour of a login on the day before still belongs to that day',
  PRIMARY KEY (day, appid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci COMMENT='One row a day and mini-program: logins, new and active users';

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW user_profiles AS
SELECT
  u.id,
  (SELECT GROUP_CONCAT(CONCAT(i.appid, ':', i.openid) ORDER BY i.appid, i.openid SEPARATOR ', ')
     FROM wechat_identities i WHERE i.user_id = u.id) AS identities,
  u.unionid,
  u.nickname,
  u.avatar_url,
  (CASE u.gender WHEN 1 THEN 'male' WHEN 2 THEN 'female' ELSE 'unknown' END) COLLATE utf8mb4_unicode_520_ci AS gender,
  CONCAT_WS(', ', NULLIF(u.city, ''), NULLIF(u.province, ''), NULLIF(u.country, '')) AS place,
  u.language,
  (CASE u.status WHEN 1 THEN 'active' WHEN 2 THEN 'disabled' WHEN 3 THEN 'merged' ELSE 'invalid' END)
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
  u.last_login_at
FROM users u;

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW user_identities AS
SELECT i.user_id, i.appid, i.openid, i.created_at
FROM wechat_identities i;

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW merged_users AS
SELECT m.id, m.merged_at, m.merged_id, m.survivor_id, m.unionid, m.appid
FROM user_merges m;

CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW daily_logins AS
SELECT d.day, d.appid, d.logins, d.new_users, d.active_users
FROM login_days d;
