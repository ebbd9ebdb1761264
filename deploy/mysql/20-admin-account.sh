# Makes the account with which administrators read the views of a database and nothing else: no table, no phone number. Where
# the account is there already, it keeps its password, and all other rights are taken from it.
#
# For the mysql and mariadb images' /docker-entrypoint-initdb.d. Their entrypoint sources it on the first start, because it
# is not executable, and gives it docker_process_sql, which runs SQL as root. It must not set options of that shell.
#
# On a database that is there already, after `wxlogin migrate` of the same version; the arguments are those of the client mysql, for an account
# that may grant:
#
#   MYSQL_DATABASE=wxlogin ADMIN_RO_PASSWORD=… bash deploy/mysql/20-admin-account.sh -h HOST -u root -p
#
# ADMIN_RO_USER (admin_ro) and ADMIN_RO_PASSWORD (admin_ro in the images) name the account.
#
# The account may have 10 connections at a time, so that its users leave enough for the servers, and on MariaDB a statement of
# its ends after a minute. MySQL has no such limit of an account: it takes /*M! ... */ for a comment. What it can still do with
# locks is in SECURITY.md.

if ! declare -F docker_process_sql >/dev/null; then
	: "${MYSQL_DATABASE:?} ${ADMIN_RO_PASSWORD:?}"
	client=("$(command -v mariadb || command -v mysql || echo mysql)" "$@")
	docker_process_sql() { "${client[@]}" --comments; } # without it, some clients drop /*M! ... */
fi

# sql_string writes its argument as a string literal of SQL.
sql_string() {
	local backslash='\' quote="'" text=$1
	text=${text//"$backslash"/"$backslash$backslash"}
	text=${text//"$quote"/"$quote$quote"}
	printf '%s' "$quote$text$quote"
}

admin="$(sql_string "${ADMIN_RO_USER:-admin_ro}")@'%'"
docker_process_sql <<SQL
CREATE USER IF NOT EXISTS $admin IDENTIFIED BY $(sql_string "${ADMIN_RO_PASSWORD:-admin_ro}");
ALTER USER $admin WITH MAX_USER_CONNECTIONS 10 /*M! MAX_STATEMENT_TIME 60 */;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM $admin;
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.user_profiles TO $admin;
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.user_identities TO $admin;
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.merged_users TO $admin;
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.daily_logins TO $admin;
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.user_history TO $admin;
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.user_list TO $admin;
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.blocked_users TO $admin;
SQL
