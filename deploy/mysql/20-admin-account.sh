# Makes the account with which administrators read the database of MYSQL_DATABASE and change nothing.
#
# For the mysql and mariadb images' /docker-entrypoint-initdb.d. Their entrypoint sources it on the first start, because it
# is not executable, and gives it docker_process_sql, which runs SQL as root. It must not set options of that shell.
#
# ADMIN_RO_USER (admin_ro) and ADMIN_RO_PASSWORD (admin_ro) name the account.

# sql_string writes its argument as a string literal of SQL.
sql_string() {
	local backslash='\' quote="'" text=$1
	text=${text//"$backslash"/"$backslash$backslash"}
	text=${text//"$quote"/"$quote$quote"}
	printf '%s' "$quote$text$quote"
}

admin="$(sql_string "${ADMIN_RO_USER:-admin_ro}")@'%'"
# In a GRANT, _ stands for any character unless escaped.
docker_process_sql <<SQL
CREATE USER IF NOT EXISTS $admin IDENTIFIED BY $(sql_string "${ADMIN_RO_PASSWORD:-admin_ro}");
GRANT SELECT, SHOW VIEW ON \`${MYSQL_DATABASE//_/\\_}\`.* TO $admin;
SQL
