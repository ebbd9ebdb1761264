-- Questions about the users, and their answers.
--
--   mysql -h HOST -u admin_ro -p wxlogin
--
-- They read only the views, which have no phone number, so the account of deploy/mysql/20-admin-account.sh may run them.
-- Times are UTC. last_login_at is up to an hour old. Merged users are counted under another id.
--
-- "Reads everything" marks queries that read a whole table: run them on a replica if there are many users.

-- ------------------------------------------------------------------------------------------------------------ users

-- Who signed up last?
SELECT * FROM user_profiles WHERE status <> 'merged' ORDER BY created_at DESC, id DESC LIMIT 20;

-- Who has this openid?
SELECT p.* FROM user_identities i JOIN user_profiles p ON p.id = i.user_id WHERE i.openid = 'oGZUI0egBJY1zhBYw2KhdUfwVJJE';

-- Who has this unionid?
SELECT * FROM user_profiles WHERE unionid = 'o6_bmasdasdsad6_2sgVt7hMZOPfL';

-- Who has this nickname? (ignores case)
SELECT * FROM user_profiles WHERE nickname = 'alice' ORDER BY id LIMIT 100;

-- Whose nickname begins with this? (ignores case)
SELECT * FROM user_profiles WHERE nickname LIKE 'ali%' ORDER BY nickname, id LIMIT 100;

-- In which mini-programs is this user, and since when?
SELECT appid, openid, created_at FROM user_identities WHERE user_id = 2 ORDER BY created_at, appid;

-- Who is blocked, most recent change first? Reads everything.
SELECT id, nickname, identities, updated_at, last_login_at FROM user_profiles
WHERE status = 'disabled' ORDER BY updated_at DESC, id DESC LIMIT 100;

-- Which users turned out to be one person, newest first?
SELECT m.merged_at, m.merged_id, m.survivor_id, p.nickname, m.appid FROM merged_users m
JOIN user_profiles p ON p.id = m.survivor_id ORDER BY m.merged_at DESC, m.id DESC LIMIT 20;

-- What became of this user?
SELECT merged_at, merged_id, survivor_id, unionid, appid FROM merged_users WHERE merged_id = 6 OR survivor_id = 6 ORDER BY id;

-- Who uses several mini-programs? Reads everything.
SELECT p.* FROM (SELECT user_id FROM user_identities GROUP BY user_id HAVING COUNT(*) > 1) several
JOIN user_profiles p ON p.id = several.user_id ORDER BY p.id LIMIT 100;

-- Who has not been seen for 30 days, longest first?
SELECT id, nickname, identities, last_login_at FROM user_profiles
WHERE status = 'active' AND last_login_at < UTC_TIMESTAMP() - INTERVAL 30 DAY
ORDER BY last_login_at LIMIT 100;

-- Who is anonymous so far (neither nickname nor avatar), last seen first?
SELECT id, identities, created_at, last_login_at FROM user_profiles
WHERE profile_source = 'none' AND status = 'active' ORDER BY last_login_at DESC, id DESC LIMIT 100;

-- ------------------------------------------------------------------------------------------------------------ by day

-- How many people signed up on each day?
SELECT DATE(created_at) AS day, COUNT(*) AS sign_ups FROM user_profiles
WHERE status <> 'merged' AND created_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY DATE(created_at) ORDER BY day DESC;

-- … and through which mini-program?
SELECT DATE(p.created_at) AS day, i.appid, COUNT(*) AS sign_ups FROM user_profiles p
JOIN user_identities i ON i.user_id = p.id AND i.created_at = p.created_at
WHERE p.status <> 'merged' AND p.created_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY DATE(p.created_at), i.appid ORDER BY day DESC, i.appid;

-- How many logins were there on each day, by how many users, and how many of these were new? (Users who were merged later
-- are counted separately.)
SELECT day, SUM(logins) AS logins, SUM(new_users) AS new_users, SUM(active_users) AS active_users FROM daily_logins
WHERE day >= DATE(UTC_TIMESTAMP() - INTERVAL 30 DAY) GROUP BY day ORDER BY day DESC;

-- … by mini-program? (A user of two is active in the first one of that day.)
SELECT day, appid, logins, new_users, active_users FROM daily_logins
WHERE day >= DATE(UTC_TIMESTAMP() - INTERVAL 30 DAY) ORDER BY day DESC, appid;

-- … by week, from its Monday on? (A user who came on three days is three visits.)
SELECT DATE_SUB(day, INTERVAL WEEKDAY(day) DAY) AS week, SUM(logins) AS logins, SUM(new_users) AS new_users,
  SUM(active_users) AS visits FROM daily_logins
WHERE day >= DATE(UTC_TIMESTAMP() - INTERVAL 84 DAY)
GROUP BY DATE_SUB(day, INTERVAL WEEKDAY(day) DAY) ORDER BY week DESC;

-- … by month?
SELECT DATE_FORMAT(day, '%Y-%m') AS month, SUM(logins) AS logins, SUM(new_users) AS new_users,
  SUM(active_users) AS visits FROM daily_logins
WHERE day >= DATE(UTC_TIMESTAMP() - INTERVAL 365 DAY)
GROUP BY DATE_FORMAT(day, '%Y-%m') ORDER BY month DESC;

-- How many profiles were completed or changed last on each day?
SELECT DATE(profile_updated_at) AS day, COUNT(*) AS completed FROM user_profiles
WHERE profile_complete = 'yes' AND status <> 'merged' AND profile_updated_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY DATE(profile_updated_at) ORDER BY day DESC;

-- How many of those who signed up on each day have a complete profile by now?
SELECT DATE(created_at) AS day, COUNT(*) AS sign_ups, COUNT(CASE WHEN profile_complete = 'yes' THEN 1 END) AS completed,
  ROUND(100 * COUNT(CASE WHEN profile_complete = 'yes' THEN 1 END) / COUNT(*), 1) AS percent
FROM user_profiles WHERE status <> 'merged' AND created_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY
GROUP BY DATE(created_at) ORDER BY day DESC;

-- ------------------------------------------------------------------------------------------------------------ totals

-- How many of those who signed up in each week (from its Monday on) came back? day_7: the last login was seven or more
-- days after the first. It counts logins after that time, not on that day, and it still grows: users of a recent week have
-- had less time to come back.
SELECT DATE_SUB(DATE(created_at), INTERVAL WEEKDAY(created_at) DAY) AS week, COUNT(*) AS sign_ups,
  COUNT(CASE WHEN last_login_at >= created_at + INTERVAL 1 DAY THEN 1 END) AS day_1,
  COUNT(CASE WHEN last_login_at >= created_at + INTERVAL 7 DAY THEN 1 END) AS day_7,
  COUNT(CASE WHEN last_login_at >= created_at + INTERVAL 30 DAY THEN 1 END) AS day_30
FROM user_profiles WHERE status <> 'merged' AND created_at >= UTC_TIMESTAMP() - INTERVAL 84 DAY
GROUP BY DATE_SUB(DATE(created_at), INTERVAL WEEKDAY(created_at) DAY) ORDER BY week DESC;

-- How many people were seen in the last 24 hours, 7 days, 30 days?
SELECT COUNT(CASE WHEN last_login_at >= UTC_TIMESTAMP() - INTERVAL 1 DAY THEN 1 END) AS hours_24,
  COUNT(CASE WHEN last_login_at >= UTC_TIMESTAMP() - INTERVAL 7 DAY THEN 1 END) AS days_7, COUNT(*) AS days_30
FROM user_profiles WHERE status = 'active' AND last_login_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY;

-- How has the number of users grown? Reads everything.
SELECT day, sign_ups, SUM(sign_ups) OVER (ORDER BY day) AS users
FROM (SELECT DATE(created_at) AS day, COUNT(*) AS sign_ups FROM user_profiles
  WHERE status <> 'merged' GROUP BY DATE(created_at)) days
ORDER BY day;

-- How many users are there of each status? Reads everything.
SELECT status, COUNT(*) AS users FROM user_profiles GROUP BY status ORDER BY status;

-- How many have given a nickname and an avatar, and who filled them in? Reads everything.
SELECT profile_source, profile_complete, COUNT(*) AS people FROM user_profiles
WHERE status <> 'merged' GROUP BY profile_source, profile_complete ORDER BY profile_source, profile_complete;

-- How many have bound a phone number? Reads everything.
SELECT phone_bound, COUNT(*) AS people FROM user_profiles WHERE status <> 'merged' GROUP BY phone_bound ORDER BY phone_bound;

-- … of which countries? Reads everything.
SELECT phone_country_code, COUNT(*) AS people FROM user_profiles
WHERE phone_bound = 'yes' AND status <> 'merged' GROUP BY phone_country_code ORDER BY people DESC, phone_country_code;

-- Are the tables consistent? No row: yes. Otherwise a manual change or a partial restore has broken something. Reads
-- everything.
SELECT 'identity without user' AS fault, i.appid, i.openid, i.user_id
  FROM user_identities i LEFT JOIN user_profiles u ON u.id = i.user_id WHERE u.id IS NULL
UNION ALL
SELECT 'identity of a merged user', i.appid, i.openid, i.user_id
  FROM user_identities i JOIN user_profiles u ON u.id = i.user_id WHERE u.status = 'merged'
UNION ALL
SELECT 'user without identity', NULL, NULL, u.id
  FROM user_profiles u LEFT JOIN user_identities i ON i.user_id = u.id WHERE i.user_id IS NULL AND u.status <> 'merged'
UNION ALL
SELECT 'merged into nobody', NULL, NULL, u.id
  FROM user_profiles u LEFT JOIN user_profiles s ON s.id = u.merged_into WHERE u.status = 'merged' AND s.id IS NULL
UNION ALL
SELECT 'merge that users does not show', NULL, NULL, m.merged_id
  FROM merged_users m LEFT JOIN user_profiles u ON u.id = m.merged_id LEFT JOIN user_profiles s ON s.id = m.survivor_id
  WHERE u.id IS NULL OR s.id IS NULL OR u.status <> 'merged';
