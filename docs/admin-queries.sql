-- Questions about the users, and their answers.
--
--   mysql --default-character-set=utf8mb4 -h HOST -u admin_ro -p --table wxlogin < docs/admin-queries.sql
--
-- asks them all. To ask one, copy it into such a client: in another character set it does not find Chinese names and emoji.
-- They read only the views, which have no phone number, so the account of deploy/mysql/20-admin-account.sh may run them.
--
-- Times are UTC; last_login_at and last_seen_at are up to an hour old. A day of sign-ups, profiles or erased users is one of
-- the zone that is set here, as an offset, which needs no time zone tables; if it is not set, it is China's. A day of logins
-- and active users is one of the servers' REPORT_TIME_ZONE, which the column time_zone names. The last row of a list of days,
-- weeks or months may not be a whole one.
--
-- Merged users are counted as the user that stayed. Erased users count as sign-ups and nowhere else.
--
-- "Reads everything" marks queries that read a whole table: run them on a replica if there are many users.

SET @zone = '+08:00';

-- ------------------------------------------------------------------------------------------------------------------------- users

SELECT 'Who signed up last?' AS '';
SELECT * FROM user_list WHERE status NOT IN ('merged', 'erased') ORDER BY created_at DESC, id DESC LIMIT 20;

SELECT 'Who has this openid?' AS '';
SELECT l.* FROM user_identities i JOIN user_list l ON l.id = i.user_id WHERE i.openid = 'oGZUI0egBJY1zhBYw2KhdUfwVJJE';

SELECT 'Who has this unionid?' AS '';
SELECT id, nickname, status, identities FROM user_profiles WHERE unionid = 'o6_bmasdasdsad6_2sgVt7hMZOPfL';

SELECT 'Who has this external id?' AS '';
SELECT id, nickname, status, identities FROM user_profiles WHERE external_id = '1001';

SELECT 'Who has this nickname? (ignores case)' AS '';
SELECT * FROM user_list WHERE nickname = 'alice' ORDER BY id LIMIT 100;

SELECT 'Whose nickname begins with this? (ignores case)' AS '';
SELECT * FROM user_list WHERE nickname LIKE 'ali%' ORDER BY nickname, id LIMIT 100;

-- Reads everything.
SELECT 'In whose nickname is this? (ignores case)' AS '';
SELECT * FROM user_list WHERE nickname LIKE '%lic%' ORDER BY id LIMIT 100;

-- Who has this phone number? No view says. `wxlogin user find -phone 13800001234` does, as does, with an account that may read
-- the table users:
--
--   SELECT id, nickname, status FROM users WHERE phone_number = '13800001234' AND phone_country_code = '86';

-- It is wide: in a terminal, end it with \G instead of the semicolon.
SELECT 'What is known of this user?' AS '';
SELECT * FROM user_profiles WHERE id = 2;

SELECT 'In which mini-programs is this user, and since when?' AS '';
SELECT appid, openid, created_at FROM user_identities WHERE user_id = 2 ORDER BY created_at, appid;

SELECT 'What happened to this user: blocked, merged, removed, erased?' AS '';
SELECT changed_at, kind, survivor_id, reason, actor, note FROM user_history WHERE user_id = 5 ORDER BY seq;

-- Reads everything. Blocks by a manual UPDATE have no reason, and the time of the row's last change.
SELECT 'Who is blocked, latest first, why and by whom?' AS '';
SELECT id, nickname, blocked_at, actor, reason FROM blocked_users ORDER BY blocked_at DESC, id DESC LIMIT 100;

SELECT 'Who was erased last, at whose request?' AS '';
SELECT changed_at, user_id, reason, actor, note FROM user_history WHERE kind = 'erased' ORDER BY seq DESC LIMIT 20;

SELECT 'Which users turned out to be one person, newest first?' AS '';
SELECT m.merged_at, m.merged_id, m.survivor_id, p.nickname, m.appid FROM merged_users m
JOIN user_profiles p ON p.id = m.survivor_id ORDER BY m.merged_at DESC, m.id DESC LIMIT 20;

SELECT 'With whom was this user merged?' AS '';
SELECT merged_at, merged_id, survivor_id, unionid, appid FROM merged_users WHERE merged_id = 6 OR survivor_id = 6 ORDER BY id;

-- Reads everything.
SELECT 'Who uses several mini-programs?' AS '';
SELECT l.* FROM (SELECT user_id FROM user_identities GROUP BY user_id HAVING COUNT(*) > 1) several
JOIN user_list l ON l.id = several.user_id ORDER BY l.id LIMIT 100;

-- Reads everything.
SELECT 'Who has not been seen for 30 days, longest first?' AS '';
SELECT * FROM user_list WHERE status = 'active' AND last_seen_at < UTC_TIMESTAMP() - INTERVAL 30 DAY
ORDER BY last_seen_at, id LIMIT 100;

-- Reads everything.
SELECT 'Who is anonymous so far (neither nickname nor avatar), last seen first?' AS '';
SELECT id, identities, created_at, last_seen_at FROM user_profiles
WHERE profile_source = 'none' AND status = 'active' ORDER BY last_seen_at DESC, id DESC LIMIT 100;

-- ------------------------------------------------------------------------------------------------------------------------ by day

SELECT CONCAT('How many people signed up on each day? Days of UTC', COALESCE(@zone, '+08:00')) AS '';
SELECT DATE(CONVERT_TZ(created_at, '+00:00', COALESCE(@zone, '+08:00'))) AS day, COUNT(*) AS sign_ups FROM user_profiles
WHERE status <> 'merged' AND created_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY GROUP BY day ORDER BY day DESC;

-- NULL: users who were erased since.
SELECT CONCAT('… and through which mini-program? Days of UTC', COALESCE(@zone, '+08:00')) AS '';
SELECT DATE(CONVERT_TZ(p.created_at, '+00:00', COALESCE(@zone, '+08:00'))) AS day, i.appid, COUNT(*) AS sign_ups
FROM user_profiles p LEFT JOIN user_identities i ON i.user_id = p.id AND i.created_at = p.created_at
WHERE p.status <> 'merged' AND p.created_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY day, i.appid ORDER BY day DESC, i.appid;

-- Users who were merged or erased later are counted.
SELECT 'How many logins were there on each day, how many users were active, and how many new?' AS '';
SELECT day, time_zone, SUM(logins) AS logins, SUM(new_users) AS new_users, SUM(active_users) AS active_users
FROM daily_logins WHERE day >= UTC_TIMESTAMP() - INTERVAL 30 DAY GROUP BY day, time_zone ORDER BY day DESC;

-- A user of two is active in the first one of that day.
SELECT '… by mini-program?' AS '';
SELECT day, time_zone, appid, logins, new_users, active_users FROM daily_logins
WHERE day >= UTC_TIMESTAMP() - INTERVAL 30 DAY ORDER BY day DESC, appid;

-- A user who came on three days is three visits.
SELECT '… by week, from its Monday on?' AS '';
SELECT DATE_SUB(day, INTERVAL WEEKDAY(day) DAY) AS week, time_zone, SUM(logins) AS logins, SUM(new_users) AS new_users,
  SUM(active_users) AS visits FROM daily_logins
WHERE day >= UTC_TIMESTAMP() - INTERVAL 84 DAY GROUP BY week, time_zone ORDER BY week DESC;

SELECT '… by month?' AS '';
SELECT DATE_FORMAT(day, '%Y-%m') AS month, time_zone, SUM(logins) AS logins, SUM(new_users) AS new_users,
  SUM(active_users) AS visits FROM daily_logins
WHERE day >= UTC_TIMESTAMP() - INTERVAL 365 DAY GROUP BY month, time_zone ORDER BY month DESC;

SELECT CONCAT('How many profiles were completed or changed last on each day? Days of UTC', COALESCE(@zone, '+08:00')) AS '';
SELECT DATE(CONVERT_TZ(profile_updated_at, '+00:00', COALESCE(@zone, '+08:00'))) AS day, COUNT(*) AS completed FROM user_profiles
WHERE profile_complete = 'yes' AND status NOT IN ('merged', 'erased')
  AND profile_updated_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY day ORDER BY day DESC;

SELECT CONCAT('How many who signed up on each day have a complete profile? Days of UTC', COALESCE(@zone, '+08:00')) AS '';
SELECT DATE(CONVERT_TZ(created_at, '+00:00', COALESCE(@zone, '+08:00'))) AS day, COUNT(*) AS sign_ups,
  COUNT(CASE WHEN profile_complete = 'yes' THEN 1 END) AS completed,
  ROUND(100 * COUNT(CASE WHEN profile_complete = 'yes' THEN 1 END) / COUNT(*), 1) AS percent
FROM user_profiles WHERE status <> 'merged' AND created_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY day ORDER BY day DESC;

SELECT CONCAT('What was erased on each day, or removed, and at whose request? Days of UTC', COALESCE(@zone, '+08:00')) AS '';
SELECT DATE(CONVERT_TZ(changed_at, '+00:00', COALESCE(@zone, '+08:00'))) AS day, reason,
  COUNT(CASE WHEN kind = 'erased' THEN 1 END) AS erased, COUNT(CASE WHEN kind = 'profile_removed' THEN 1 END) AS profiles,
  COUNT(CASE WHEN kind = 'phone_removed' THEN 1 END) AS phones
FROM user_history WHERE kind IN ('erased', 'profile_removed', 'phone_removed')
  AND changed_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY day, reason ORDER BY day DESC, reason;

-- ------------------------------------------------------------------------------------------------------------------------ totals

-- day_7: last seen seven or more days after the day of the first login. It counts who came after that day, not on it, and it
-- still grows: users of a recent week have had less time to come back. Erased users did not come back.
SELECT CONCAT('How many who signed up in each week (from Monday on) came back? Days of UTC', COALESCE(@zone, '+08:00')) AS '';
SELECT DATE_SUB(day, INTERVAL WEEKDAY(day) DAY) AS week, COUNT(*) AS sign_ups,
  COUNT(CASE WHEN DATEDIFF(seen, day) >= 1 THEN 1 END) AS day_1,
  COUNT(CASE WHEN DATEDIFF(seen, day) >= 7 THEN 1 END) AS day_7,
  COUNT(CASE WHEN DATEDIFF(seen, day) >= 30 THEN 1 END) AS day_30
FROM (SELECT DATE(CONVERT_TZ(created_at, '+00:00', COALESCE(@zone, '+08:00'))) AS day,
    DATE(CONVERT_TZ(last_seen_at, '+00:00', COALESCE(@zone, '+08:00'))) AS seen
  FROM user_profiles WHERE status <> 'merged' AND created_at >= UTC_TIMESTAMP() - INTERVAL 84 DAY) users
GROUP BY week ORDER BY week DESC;

-- Reads everything.
SELECT 'How many people were seen in the last 24 hours, 7 days, 30 days?' AS '';
SELECT COUNT(CASE WHEN last_seen_at >= UTC_TIMESTAMP() - INTERVAL 1 DAY THEN 1 END) AS hours_24,
  COUNT(CASE WHEN last_seen_at >= UTC_TIMESTAMP() - INTERVAL 7 DAY THEN 1 END) AS days_7, COUNT(*) AS days_30
FROM user_profiles WHERE status = 'active' AND last_seen_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY;

-- Reads everything.
SELECT CONCAT('How has the number of users grown? Days of UTC', COALESCE(@zone, '+08:00')) AS '';
SELECT day, sign_ups, erased, SUM(sign_ups - erased) OVER (ORDER BY day) AS users
FROM (SELECT day, SUM(sign_up) AS sign_ups, SUM(1 - sign_up) AS erased
  FROM (SELECT DATE(CONVERT_TZ(created_at, '+00:00', COALESCE(@zone, '+08:00'))) AS day, 1 AS sign_up
      FROM user_profiles WHERE status <> 'merged'
    UNION ALL
    SELECT DATE(CONVERT_TZ(changed_at, '+00:00', COALESCE(@zone, '+08:00'))), 0 FROM user_history WHERE kind = 'erased') changes
  GROUP BY day) days
ORDER BY day;

-- Reads everything.
SELECT 'How many users are there of each status?' AS '';
SELECT status, COUNT(*) AS users FROM user_profiles GROUP BY status ORDER BY status;

-- Reads everything.
SELECT 'How many have given a nickname and an avatar, and who filled them in?' AS '';
SELECT profile_source, profile_complete, COUNT(*) AS people FROM user_profiles
WHERE status NOT IN ('merged', 'erased') GROUP BY profile_source, profile_complete ORDER BY profile_source, profile_complete;

-- Reads everything.
SELECT 'How many have bound a phone number?' AS '';
SELECT phone_bound, COUNT(*) AS people FROM user_profiles
WHERE status NOT IN ('merged', 'erased') GROUP BY phone_bound ORDER BY phone_bound;

-- Reads everything.
SELECT '… of which countries?' AS '';
SELECT phone_country_code, COUNT(*) AS people FROM user_profiles
WHERE phone_bound = 'yes' AND status NOT IN ('merged', 'erased') GROUP BY phone_country_code
ORDER BY people DESC, phone_country_code;

-- Otherwise a manual change or a partial restore has broken something. Reads everything.
SELECT 'Are the tables consistent? (No row: yes.)' AS '';
SELECT 'identity without user' AS fault, i.appid, i.openid, i.user_id
  FROM user_identities i LEFT JOIN user_profiles u ON u.id = i.user_id WHERE u.id IS NULL
UNION ALL
SELECT 'identity of a merged user', i.appid, i.openid, i.user_id
  FROM user_identities i JOIN user_profiles u ON u.id = i.user_id WHERE u.status = 'merged'
UNION ALL
SELECT 'identity of an erased user', i.appid, i.openid, i.user_id
  FROM user_identities i JOIN user_profiles u ON u.id = i.user_id WHERE u.status = 'erased'
UNION ALL
SELECT 'user without identity', NULL, NULL, u.id
  FROM user_profiles u LEFT JOIN user_identities i ON i.user_id = u.id
  WHERE i.user_id IS NULL AND u.status NOT IN ('merged', 'erased')
UNION ALL
SELECT 'merged into nobody', NULL, NULL, u.id
  FROM user_profiles u LEFT JOIN user_profiles s ON s.id = u.merged_into WHERE u.status = 'merged' AND s.id IS NULL
UNION ALL
SELECT 'merge that users does not show', NULL, NULL, m.merged_id
  FROM merged_users m LEFT JOIN user_profiles u ON u.id = m.merged_id LEFT JOIN user_profiles s ON s.id = m.survivor_id
  WHERE u.id IS NULL OR s.id IS NULL OR u.status <> 'merged';
