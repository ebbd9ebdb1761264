-- +goose NO TRANSACTION
-- +goose Up
-- Who filled in a profile, phone numbers, and the record of merges.
--
-- Every statement may run again, since MySQL commits each of them alone: a step that fails half way is repeated from its
-- beginning. ALTER TABLE knows no IF NOT EXISTS on MySQL, so each one is made only where it is missing.
-- Adding the columns is instant on MySQL 8.0.29 and later and on MariaDB; adding the index lets logins go on.
-- The columns are named from the last to the first, each after the same one, because TiDB takes none after a column that the
-- same ALTER adds. The table is the same as in the first edition of this step, which named them from the first to the last.

SET NAMES utf8mb4;

SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'profile_source');
SET @change = IF(@missing, 'ALTER TABLE users
  ADD COLUMN phone_bound_at DATETIME(3) NULL COMMENT ''When the phone number was bound (UTC); NULL = no phone bound'' AFTER profile_updated_at,
  ADD COLUMN phone_number VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT ''National phone number, digits only; NULL = no phone bound'' AFTER profile_updated_at,
  ADD COLUMN phone_country_code VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT ''Country code of the phone number, digits only, such as 86; NULL = no phone bound'' AFTER profile_updated_at,
  ADD COLUMN profile_source TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT ''Who filled in nickname or avatar: 0 = nobody, 1 = WeChat, 2 = the person, by hand'' AFTER profile_updated_at', 'SELECT 1');
PREPARE change_users FROM @change;
EXECUTE change_users;
DEALLOCATE PREPARE change_users;

SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.statistics
  WHERE table_schema = DATABASE() AND table_name = 'users' AND index_name = 'users_phone');
SET @change = IF(@missing, 'ALTER TABLE users ADD KEY users_phone (phone_number, phone_country_code)', 'SELECT 1');
PREPARE change_users FROM @change;
EXECUTE change_users;
DEALLOCATE PREPARE change_users;

-- The first version knew no other source.
UPDATE users SET profile_source = 1 WHERE profile_source = 0 AND (nickname <> '' OR avatar_url <> '');

-- One row for each time that two users turned out to be one person. Nothing is ever deleted here.
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

-- Earlier merges are on record in users alone, without the login that told of them.
INSERT INTO user_merges (survivor_id, merged_id, unionid, merged_at)
SELECT s.id, u.id, s.unionid, u.updated_at
FROM users u JOIN users s ON s.id = u.merged_into
WHERE u.status = 3 AND NOT EXISTS (SELECT m.id FROM user_merges m WHERE m.merged_id = u.id);

CREATE OR REPLACE SQL SECURITY INVOKER VIEW user_profiles AS
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
  u.phone_bound_at,
  u.profile_as_of,
  u.profile_updated_at,
  u.created_at,
  u.updated_at,
  u.last_login_at
FROM users u;
