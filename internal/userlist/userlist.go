// Package userlist reads lists of users whom a team has already, to be imported. A list is CSV whose first line names the
// columns; openid alone is enough:
//
//	openid,unionid,external_id,nickname,avatar_url,phone,created_at
//	oGZUI0egBJY1zhBYw2KhdUfwVJJE,,1001,小明,https://example.com/1001.jpg,+8613800138000,2019-05-01T08:30:00+08:00
//
// Values are checked as those that users send: see package profile. WeChat's placeholders count as not given. Errors do not
// contain what is in a line.
package userlist

import (
	"io"
	"time"

	"wxlogin/internal/csvlist"
	"wxlogin/internal/profile"
	"wxlogin/store"
	"wxlogin/wechat"
)

// The columns.
const (
	columnOpenID     = "openid"
	columnUnionID    = "unionid"
	columnExternalID = "external_id"
	columnNickName   = "nickname"
	columnAvatarURL  = "avatar_url"
	columnPhone      = "phone"
	columnCreatedAt  = "created_at"
)

var columns = []string{
	columnOpenID, columnUnionID, columnExternalID, columnNickName, columnAvatarURL, columnPhone, columnCreatedAt,
}

// earliest is before the first user of any mini-program: an earlier created_at is a default value.
var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Reader reads a list.
type Reader struct {
	list *csvlist.Reader
	now  time.Time
}

// NewReader reads the first line of a list. No user was created after now. Errors: csvlist.ErrHeader, and those of r.
func NewReader(r io.Reader, now time.Time) (*Reader, error) {
	list, err := csvlist.NewReader(r, columns, columnOpenID)
	if err != nil {
		return nil, err
	}
	return &Reader{list, now}, nil
}

// Read returns the user in the next line, and the number of that line. It skips lines without a value. Whether openid,
// unionid and external_id are well-formed is up to [store.Users.Import].
//
// Errors: *csvlist.LineError, after which the next line can be read; io.EOF after the last line; those of the file.
func (r *Reader) Read() (user store.ImportedUser, line int, err error) {
	values, err := r.list.Read()
	if err != nil {
		return store.ImportedUser{}, r.list.Number(), err
	}
	user, reason := r.user(values)
	if reason != "" {
		return store.ImportedUser{}, r.list.Number(), r.list.Fault(reason)
	}
	return user, r.list.Number(), nil
}

// user makes a user of a line, or returns what is wrong with it.
func (r *Reader) user(line csvlist.Line) (u store.ImportedUser, reason string) {
	u.OpenID, u.UnionID, u.ExternalID = line.Value(columnOpenID), line.Value(columnUnionID), line.Value(columnExternalID)
	if u.OpenID == "" {
		return u, "openid is empty"
	}
	if reason := setProfile(&u, line.Value(columnNickName), line.Value(columnAvatarURL)); reason != "" {
		return u, reason
	}
	if phone := line.Value(columnPhone); phone != "" {
		var ok bool
		if u.Phone, ok = parsePhone(phone); !ok {
			return u, "phone is not + and digits only, with the country code"
		}
	}
	if at := line.Value(columnCreatedAt); at != "" {
		var err error
		if u.CreatedAt, err = time.Parse(time.RFC3339, at); err != nil {
			return u, "created_at is not a time such as 2019-05-01T08:30:00+08:00"
		}
		if u.CreatedAt.Before(earliest) || u.CreatedAt.After(r.now) {
			return u, "created_at is before the year 2000 or in the future"
		}
	}
	return u, ""
}

var nickNameReasons = map[error]string{
	profile.ErrInvisible: "nickname has no visible character",
	profile.ErrTooLong:   "nickname is longer than 32 characters",
	profile.ErrCharacter: "nickname has a character that does not belong in a name",
}

// setProfile sets the nickname and the avatar, or returns what is wrong with them.
func setProfile(u *store.ImportedUser, nickName, avatarURL string) (reason string) {
	info := wechat.UserInfo{NickName: nickName, AvatarURL: avatarURL}.WithoutPlaceholders()
	if info.NickName != "" {
		var err error
		if u.NickName, err = profile.NickName(info.NickName); err != nil {
			return nickNameReasons[err]
		}
	}
	if info.AvatarURL != "" {
		var ok bool
		if u.AvatarURL, ok = profile.AvatarURL(info.AvatarURL); !ok {
			return "avatar_url is not an https URL on a public host of up to 1024 characters"
		}
	}
	return ""
}
