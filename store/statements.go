package store

import (
	"slices"
	"strings"
)

// query is one of the statements that are sent as they are written here.
type query int

const (
	selectByIdentity query = iota
	selectBy4Identities
	selectBy16Identities
	selectByUnionID
	selectForUpdate
	selectOrphan
	updateProfile
	update4Profiles
	update16Profiles
	updateAsOf
	updateLastLogin
	updatePhone
	updateIdentity
	insertUser
	insertIdentities                                  // one; and then two, three and so on
	queries          = insertIdentities + maxTogether // is how many there are
)

const selectUser = "SELECT u.id, u.unionid, u.status, u.merged_into, u.nickname, u.avatar_url, u.gender, u.country, " +
	"u.province, u.city, u.language, u.profile_as_of, u.profile_updated_at, u.profile_source, u.phone_country_code, " +
	"u.phone_number, u.phone_bound_at, u.created_at, u.updated_at, u.last_login_at"

const fromIdentities = " FROM wechat_identities i JOIN users u ON u.id = i.user_id WHERE i.appid = ? AND i.openid "

// texts are the statements. Those that find several rows say LIMIT, which comes before a server's sql_select_limit. A test has the server tell how it finds the rows of each.
var texts = withIdentities([queries]string{
	selectByIdentity:     selectUser + fromIdentities + "= ?",
	selectBy4Identities:  selectUser + ", i.openid" + fromIdentities + "IN (" + times(4, "?", ", ") + ") LIMIT 4",
	selectBy16Identities: selectUser + ", i.openid" + fromIdentities + "IN (" + times(16, "?", ", ") + ") LIMIT 16",

	selectByUnionID: selectUser + " FROM users u WHERE u.unionid = ?",
	selectForUpdate: selectUser + " FROM users u WHERE u.id = ? FOR UPDATE",
	selectOrphan: "SELECT i.user_id, i.created_at FROM wechat_identities i LEFT JOIN users u ON u.id = i.user_id " +
		"WHERE i.appid = ? AND i.openid = ? AND u.id IS NULL",

	updateProfile:    updateProfiles(1),
	update4Profiles:  updateProfiles(4),
	update16Profiles: updateProfiles(16),
	updateAsOf:       "UPDATE users SET profile_as_of = ? WHERE id = ? AND profile_as_of = ?",
	updateLastLogin:  "UPDATE users SET last_login_at = ? WHERE id = ? AND (last_login_at <= ? OR last_login_at > ?)",
	updatePhone: "UPDATE users SET phone_country_code = ?, phone_number = ?, phone_bound_at = ?, updated_at = ? " +
		"WHERE id = ? AND status = ? AND phone_country_code <=> ? AND phone_number <=> ?",
	updateIdentity: "UPDATE wechat_identities SET user_id = ?, created_at = ? " +
		"WHERE appid = ? AND openid = ? AND user_id = ? AND created_at = ?",

	insertUser: "INSERT INTO users (unionid, status, created_at, updated_at, last_login_at) VALUES (?, ?, ?, ?, ?)",
})

// withIdentities adds the statements that insert as many identities.
func withIdentities(texts [queries]string) [queries]string {
	for n := range maxTogether {
		texts[insertIdentities+query(n)] = "INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES " +
			times(n+1, "(?, ?, ?, ?)", ", ")
	}
	return texts
}

// times is a text as often as n, with something in between.
func times(n int, text, between string) string {
	return strings.Join(slices.Repeat([]string{text}, n), between)
}

// hot are the statements of every visit: they are prepared, on each connection once. The others are interpolated.
var hot = [queries]bool{
	selectByIdentity: true, selectBy4Identities: true, selectBy16Identities: true, selectByUnionID: true,
	updateProfile: true, update4Profiles: true, update16Profiles: true, updateLastLogin: true,
}

// updateProfiles is the statement that writes as many profiles, each only if no other write has come since it was read. NULL for a
// column leaves it as it is at that moment: so one statement writes any of them and touches no other.
func updateProfiles(users int) string {
	value, where := "?", "id = ? AND status = ? AND profile_updated_at <=> ?"
	if users > 1 {
		value = "CASE id " + times(users, "WHEN ? THEN ?", " ") + " END"
		where = "id IN (" + times(users, "?", ", ") + ") AND status = ? AND (" +
			times(users, "id = ? AND profile_updated_at <=> ?", " OR ") + ")"
	}
	var set strings.Builder
	for _, column := range profileColumns {
		set.WriteString(column + " = COALESCE(" + value + ", " + column + "), ")
	}
	return "UPDATE users SET " + set.String() + "profile_as_of = " + value + ", profile_updated_at = " + value +
		", updated_at = " + value + " WHERE " + where
}
