package userlist_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/csvlist"
	"wxlogin/internal/userlist"
	"wxlogin/store"
	"wxlogin/wechat"
)

var now = time.Date(2026, 1, 31, 4, 0, 0, 0, time.UTC)

// read reads a list. It returns the users, and why lines are refused.
func read(t *testing.T, file string) (users []store.ImportedUser, reasons []string) {
	t.Helper()
	r, err := userlist.NewReader(strings.NewReader(file), now)
	if err != nil {
		t.Fatal(err)
	}
	for {
		user, line, err := r.Read()
		if errors.Is(err, io.EOF) {
			return users, reasons
		}
		fault, refused := errors.AsType[*csvlist.LineError](err)
		switch {
		case err == nil:
			users = append(users, user)
		case !refused || fault.Line != line || user != (store.ImportedUser{}):
			t.Fatalf("line %d: %+v, %v", line, user, err)
		default:
			reasons = append(reasons, fault.Reason)
		}
	}
}

func TestReader(t *testing.T) {
	for name, tt := range map[string]struct {
		file string
		want store.ImportedUser
	}{
		"openid alone": {"openid\noA", store.ImportedUser{OpenID: "oA"}},
		"all": {"created_at,phone,avatar_url,nickname,external_id,unionid,openid\n" +
			"2019-05-01T08:30:00+08:00,+8613800138000,https://example.com/a.jpg,小明,1001,uA,oA\n",
			store.ImportedUser{OpenID: "oA", UnionID: "uA", ExternalID: "1001", NickName: "小明", AvatarURL: "https://example.com/a.jpg",
				Phone: store.Phone{CountryCode: "86", Number: "13800138000"}, CreatedAt: time.Date(2019, 5, 1, 0, 30, 0, 0, time.UTC)}},
		"spreadsheet": {"\ufeffOpenID,Nickname,phone\r\n\"oA\",\"a, \"\"b\"\"\",\r\n,,\r\n", store.ImportedUser{OpenID: "oA", NickName: `a, "b"`}},
		"placeholder": {"openid,nickname,avatar_url\noA, 微信用户 ," + wechat.AnonymousAvatarURL, store.ImportedUser{OpenID: "oA"}},
		"WeChat's http": {"openid,avatar_url\noA,http://thirdwx.qlogo.cn/a/132",
			store.ImportedUser{OpenID: "oA", AvatarURL: "https://thirdwx.qlogo.cn/a/132"}},
		"Hong Kong": {"openid,phone\noA,+85251234567", store.ImportedUser{OpenID: "oA", Phone: store.Phone{CountryCode: "852", Number: "51234567"}}},
		"Canada":    {"openid,phone\noA,+14165550123", store.ImportedUser{OpenID: "oA", Phone: store.Phone{CountryCode: "1", Number: "4165550123"}}},
	} {
		t.Run(name, func(t *testing.T) {
			users, reasons := read(t, tt.file)
			for i := range users {
				if !users[i].CreatedAt.IsZero() {
					users[i].CreatedAt = users[i].CreatedAt.UTC()
				}
			}
			if len(reasons) > 0 || !reflect.DeepEqual(users, []store.ImportedUser{tt.want}) {
				t.Errorf("%+v, %q, want %+v", users, reasons, tt.want)
			}
		})
	}
}

func TestReader_BadLines(t *testing.T) {
	for line, reason := range map[string]string{
		",a,,,":                                 "openid is empty",
		"oA,a\u202eb,,,":                        "nickname has a character",
		"oA,\u200b,,,":                          "nickname has",
		"oA," + strings.Repeat("a", 33) + ",,,": "nickname is longer",
		"oA,,http://example.com/a.jpg,,":        "avatar_url",
		"oA,,/static/avatar.png,,":              "avatar_url",
		"oA,,https://10.0.0.1/a.jpg,,":          "avatar_url",
		"oA,,,13800138000,":                     "phone",
		"oA,,,+86138-0013-8000,":                "phone",
		"oA,,,+86,":                             "phone",
		"oA,,,+0086138001,":                     "phone",
		"oA,,,+8613800138000123,":               "phone",
		"oA,,,,2019-05-01 08:30:00":             "created_at is not a time",
		"oA,,,,0000-00-00T00:00:00Z":            "created_at is not a time",
		"oA,,,,0001-01-01T00:00:00Z":            "created_at is before the year 2000",
		"oA,,,,2026-01-31T04:00:01Z":            "or in the future",
		"oA,a":                                  "2 values in 5 columns",
		"oA,\"a,,,":                             "the quotes are wrong",
	} {
		users, reasons := read(t, "openid,nickname,avatar_url,phone,created_at\noB,,,,\n"+line+"\noC,,,,\n")
		if len(users) != 2 || users[0].OpenID != "oB" || users[1].OpenID != "oC" {
			t.Errorf("%.40q: the other lines are %+v", line, users)
		}
		if len(reasons) != 1 || !strings.Contains(reasons[0], reason) || strings.Contains(reasons[0], "oA") || strings.Contains(reasons[0], "138001") {
			t.Errorf("%.40q: %q, want %q", line, reasons, reason)
		}
	}
}

func TestNewReader(t *testing.T) {
	for _, header := range []string{"", "nickname", "openid,openid", "openid,name", "openid,", "oGZUI0egBJY1zhBYw2KhdUfwVJJE"} {
		if _, err := userlist.NewReader(strings.NewReader(header), now); !errors.Is(err, csvlist.ErrHeader) {
			t.Errorf("%q: %v", header, err)
		}
	}
}

// Whatever is in a file, a line is a user with values that can be stored, or it is refused; and the users, written as a list,
// are read as the same.
func FuzzReader(f *testing.F) {
	f.Add([]byte("openid,nickname\noA,小明\n"))
	f.Add([]byte("\ufeffphone,openid,created_at\r\n+8613800138000,\"oA\",2019-05-01T08:30:00+08:00\r\n"))
	f.Add([]byte("openid,unionid,external_id,avatar_url\no\"A,u,x,https://example.com/\n,,,\noB\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := userlist.NewReader(bytes.NewReader(file), now)
		if err != nil {
			if !errors.Is(err, csvlist.ErrHeader) {
				t.Fatal(err)
			}
			return
		}
		var users []store.ImportedUser
		for {
			user, _, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if fault, refused := errors.AsType[*csvlist.LineError](err); refused && fault.Reason != "" {
				continue
			}
			if err != nil || user.OpenID == "" || user.NickName == wechat.AnonymousNickName || user.CreatedAt.After(now) {
				t.Fatalf("%+v, %v", user, err)
			}
			users = append(users, user)
		}
		again, reasons := read(t, written(t, users))
		if len(reasons) > 0 || len(again) != len(users) {
			t.Fatalf("%+v is read again as %+v, %q", users, again, reasons)
		}
		for i := range users {
			if !users[i].CreatedAt.Equal(again[i].CreatedAt) {
				t.Fatalf("%v is read again as %v", users[i].CreatedAt, again[i].CreatedAt)
			}
			users[i].CreatedAt, again[i].CreatedAt = time.Time{}, time.Time{}
			if users[i] != again[i] {
				t.Fatalf("%+v is read again as %+v", users[i], again[i])
			}
		}
	})
}

// written writes users as a list.
func written(t *testing.T, users []store.ImportedUser) string {
	var text strings.Builder
	w := csv.NewWriter(&text)
	w.Write([]string{"openid", "unionid", "external_id", "nickname", "avatar_url", "phone", "created_at"})
	for _, u := range users {
		at := ""
		if !u.CreatedAt.IsZero() {
			at = u.CreatedAt.Format(time.RFC3339Nano)
		}
		w.Write([]string{u.OpenID, u.UnionID, u.ExternalID, u.NickName, u.AvatarURL, u.Phone.Text(), at})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
