package handlers_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

const (
	pictureOfWeChat = "https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTKxCqRzuYWQmpwiaqQEjNxbC7WicaJ/132"
	family          = "👨\u200d👩\u200d👧\u200d👦"
	england         = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
)

// updateEncrypted encrypts a profile as WeChat does, and sends it.
func (srv *testServer) updateEncrypted(token string, p *wechattest.Device, profile map[string]any) response {
	srv.t.Helper()
	data := map[string]any{"watermark": map[string]any{"timestamp": srv.clock.Now().Unix(), "appid": p.AppID()}, "language": "zh_CN", "gender": 0}
	maps.Copy(data, profile)
	plain, err := json.Marshal(data)
	srv.must(err)
	encryptedData, iv := wechattest.Seal(p.SessionKey(), plain)
	return srv.postForm("/updateUserInfo", "token", token, "encryptedData", encryptedData, "iv", iv)
}

// userRow returns all columns of Alice's row.
func (srv *testServer) userRow() string {
	srv.t.Helper()
	rows, err := srv.db.Query("SELECT * FROM users ORDER BY id LIMIT 1")
	srv.must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	srv.must(err)
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	rows.Next()
	srv.must(rows.Scan(into...))
	var row strings.Builder
	for i, column := range columns {
		fmt.Fprintf(&row, "%s: %+q %v\n", column, values[i].String, values[i].Valid)
	}
	return row.String()
}

// wantUnchanged checks that no column of Alice's row has changed.
func (srv *testServer) wantUnchanged(before string) {
	srv.t.Helper()
	if after := srv.userRow(); after != before {
		srv.t.Errorf("the row was\n%s\nand is\n%s", before, after)
	}
}

// newServerWithAlice starts a server and logs Alice in.
func newServerWithAlice(t *testing.T) (*testServer, *wechattest.Device, string) {
	t.Helper()
	srv := newTestServer(t)
	p := srv.device("alice")
	return srv, p, srv.login(p).Token
}

func TestProfileInput_InvisibleName(t *testing.T) {
	srv, p, token := newServerWithAlice(t)
	before := srv.userRow()
	for name, in := range map[string]string{
		"hangul filler": "\u3164", "choseong filler": "\u115f", "jungseong filler": "\u1160", "halfwidth filler": "\uffa0\uffa0",
		"zero width space": "\u200b", "braille blank": "\u2800", "tags": "\U000e0041\U000e0042", "mark": "\u0301", "joiner": "\u200d",
		"variation selector": "\ufe0f", "soft hyphen": "\u00ad", "grapheme joiner": "\u034f", "mongolian separator": "\u180e",
		"word joiner": "\u2060", "deprecated": "\u206f", "bom": "\ufeff", "bidi": "\u202e", "line separator": "\u2028\u2029",
		"private use": "\ue000", "noncharacter": "\uffff", "annotation": "\ufff9", "musical null": "\U0001d159", "among spaces": " \u3000\u3164 ",
	} {
		t.Run(name, func(t *testing.T) {
			r := srv.updateManually(token, "nickName", in, "avatarUrl", manualAvatar)
			srv.wantProblem(r, 400, "invalid_request", "none")
			if !strings.HasPrefix(r.body.Detail, "nickName ") {
				t.Errorf("detail: %s", r.body.Detail)
			}
			srv.wantUnchanged(before)
			r = srv.updateEncrypted(token, p, map[string]any{"nickName": in, "avatarUrl": wechat.AnonymousAvatarURL})
			if r.status != http.StatusOK || !r.body.Anonymous || r.body.ProfileComplete {
				t.Errorf("WeChat's: %d %s, anonymous %t, complete %t", r.status, r.body.Code, r.body.Anonymous, r.body.ProfileComplete)
			}
			srv.wantUnchanged(before)
		})
	}
	r := srv.updateEncrypted(token, p, map[string]any{"nickName": "\u3164", "avatarUrl": pictureOfWeChat})
	if r.status != http.StatusOK || r.body.ProfileComplete || srv.column("nickname") != "" || srv.column("avatar_url") != pictureOfWeChat {
		t.Errorf("with a picture: %d, complete %t, row\n%s", r.status, r.body.ProfileComplete, srv.userRow())
	}
}

func TestProfileInput_Name(t *testing.T) {
	srv, p, token := newServerWithAlice(t)
	for name, tt := range map[string]struct{ in, typed, weChats string }{
		"family":              {family, family, family},
		"32 families":         {strings.Repeat(family, 32), strings.Repeat(family, 32), strings.Repeat(family, 32)},
		"33 families":         {strings.Repeat(family, 33), "", strings.Repeat(family, 32)},
		"32 flags":            {strings.Repeat(england, 32), strings.Repeat(england, 32), strings.Repeat(england, 32)},
		"256 characters":      {strings.Repeat("字", 256), "", strings.Repeat("字", 32)},
		"persian":             {"می\u200cخواهم", "می\u200cخواهم", "می\u200cخواهم"},
		"hindi":               {"क्\u200dष", "क्\u200dष", "क्\u200dष"},
		"decomposed":          {" Ame\u0301lie\u3000", "Am\u00e9lie", "Am\u00e9lie"},
		"stray":               {"Ali\u206fce", "", "Alice"},
		"marks without end":   {"z" + strings.Repeat("\u0316", 300), "", "z" + strings.Repeat("\u0316", 6)},
		"hidden placeholder":  {"微信\u200b用户", "", "Before"},
		"placeholder in name": {"微信用户2", "微信用户2", "微信用户2"},
	} {
		t.Run(name, func(t *testing.T) {
			before := func() {
				srv.advance(2 * time.Second) // a watermark has whole seconds
				srv.updateManually(token, "nickName", "Before")
			}
			before()
			r := srv.updateManually(token, "nickName", tt.in)
			if tt.typed == "" {
				srv.wantProblem(r, 400, "invalid_request", "none")
				tt.typed = "Before"
			} else if r.status != http.StatusOK || r.body.UserInfo["nickName"] != tt.typed {
				t.Errorf("typed: %d %s, %+q", r.status, r.body.Detail, r.body.UserInfo["nickName"])
			}
			if got := srv.column("nickname"); got != tt.typed {
				t.Errorf("typed: %+q, want %+q", got, tt.typed)
			}
			before()
			srv.advance(2 * time.Second)
			r = srv.updateEncrypted(token, p, map[string]any{"nickName": tt.in})
			if got := srv.column("nickname"); r.status != http.StatusOK || got != tt.weChats {
				t.Errorf("WeChat's: %d, %+q, want %+q", r.status, got, tt.weChats)
			}
		})
	}
}

// A valid URL is stored. An invalid one is rejected if the user entered it, and dropped if WeChat sent it.
func TestProfileInput_Avatar(t *testing.T) {
	srv, p, token := newServerWithAlice(t)
	const before = "https://cdn.example.com/before.png"
	for name, tt := range map[string]struct{ in, want string }{
		"https":             {manualAvatar, manualAvatar},
		"port":              {"https://cdn.example.com:8443/1.png", "https://cdn.example.com:8443/1.png"},
		"upper case":        {"HTTPS://CDN.example.com/A.png", "https://cdn.example.com/A.png"},
		"of WeChat by http": {strings.Replace(pictureOfWeChat, "https", "http", 1), pictureOfWeChat},
		"article by http":   {"http://mmbiz.qpic.cn/mmbiz/a/0?wx_fmt=png", "https://mmbiz.qpic.cn/mmbiz/a/0?wx_fmt=png"},
		"other http":        {"http://cdn.example.com/1.png", ""},
		"localhost":         {"https://localhost/1.png", ""},
		"quote":             {`https://x.example.com/"><script>`, ""},
		"single label":      {`https://x/1.png`, ""},
		"ip":                {"https://192.0.2.7/1.png", ""},
		"ipv6":              {"https://[2001:db8::1]/1.png", ""},
		"user":              {"https://a@cdn.example.com/1.png", ""},
		"temporary":         {"wxfile://tmp_1.png", ""},
		"temporary http":    {"http://tmp/1.png", ""},
		"blob":              {"blob:https://cdn.example.com/1", ""},
		"data":              {"data:image/png;base64,AAAA", ""},
		"backslash":         {`https://cdn.example.com\@evil.example.com/`, ""},
		"non ascii":         {"https://例子.中国/1.png", ""},
		"control":           {"https://cdn.example.com/\x7f", ""},
		"spaces":            {" \t", ""},
		"too long":          {"https://cdn.example.com/" + strings.Repeat("a", 1001), ""},
	} {
		t.Run(name, func(t *testing.T) {
			for way, send := range map[string]func() response{
				"typed": func() response { return srv.updateManually(token, "avatarUrl", tt.in) },
				"WeChat's": func() response {
					return srv.updateEncrypted(token, p, map[string]any{"nickName": wechat.AnonymousNickName, "avatarUrl": tt.in})
				},
			} {
				srv.advance(2 * time.Second)
				srv.updateManually(token, "avatarUrl", before)
				srv.advance(2 * time.Second)
				row, r, want := srv.userRow(), send(), tt.want
				if want == "" {
					want = before
					srv.wantUnchanged(row)
				}
				if way == "typed" && tt.want == "" {
					srv.wantProblem(r, 400, "invalid_request", "none")
					if !strings.HasPrefix(r.body.Detail, "avatarUrl ") {
						t.Errorf("detail: %s", r.body.Detail)
					}
				} else if r.status != http.StatusOK || r.body.UserInfo["avatarUrl"] != want || r.body.Anonymous != (tt.want == "") {
					t.Errorf("%s: %d %s, anonymous %t, %v", way, r.status, r.body.Detail, r.body.Anonymous, r.body.UserInfo["avatarUrl"])
				}
				if got := srv.column("avatar_url"); got != want {
					t.Errorf("%s: %q, want %q", way, got, want)
				}
			}
		})
	}
}

// WeChat's placeholder does not change a profile, whether entered or encrypted, and does not fill an empty one.
func TestProfileInput_Placeholder(t *testing.T) {
	for name, fill := range map[string]func(srv *testServer, p *wechattest.Device, token string){
		"over nothing": func(*testServer, *wechattest.Device, string) {},
		"over a typed profile": func(srv *testServer, _ *wechattest.Device, token string) {
			srv.updateManually(token, "nickName", "Al", "avatarUrl", manualAvatar)
		},
		"over a typed name": func(srv *testServer, _ *wechattest.Device, token string) { srv.updateManually(token, "nickName", "Al") },
		"over WeChat's":     func(srv *testServer, p *wechattest.Device, token string) { srv.mustUpdate(token, p.GetUserInfo()) },
		"over an uploaded picture": func(srv *testServer, _ *wechattest.Device, token string) {
			srv.upload(token, pictureFiles(srv.t)["jpeg"])
		},
		"over a profile of a fast clock": func(srv *testServer, _ *wechattest.Device, token string) {
			srv.updateManually(token, "nickName", "Al", "avatarUrl", manualAvatar)
			_, err := srv.db.Exec("UPDATE users SET profile_as_of = '2199-01-01'")
			srv.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, p, token := newServerWithAlice(t)
			fill(srv, p, token)
			before := srv.userRow()
			for way, send := range map[string]func() response{
				"WeChat's": func() response { return srv.update(token, p.GetPlaceholder()) },
				"WeChat's with unusable values": func() response {
					return srv.updateEncrypted(token, p, map[string]any{"nickName": " 微信\u200b用户 ", "avatarUrl": "http://tmp/1.png", "language": "en"})
				},
				"WeChat's without an avatar": func() response {
					return srv.updateEncrypted(token, p, map[string]any{"nickName": wechat.AnonymousNickName, "avatarUrl": "", "gender": 1, "city": "Guangzhou"})
				},
				"typed": func() response {
					return srv.updateManually(token, "nickName", "微信用户", "avatarUrl", strings.Replace(wechat.AnonymousAvatarURL, "https", "http", 1))
				},
			} {
				srv.advance(2 * time.Second) // later than what is stored
				if r := send(); r.status != http.StatusOK || !r.body.Anonymous {
					t.Errorf("%s: %d %s, anonymous %t", way, r.status, r.body.Code, r.body.Anonymous)
				}
				srv.wantUnchanged(before)
			}
		})
	}
}

// A real picture is stored although the name is a placeholder, and vice versa.
func TestProfileInput_PartialPlaceholder(t *testing.T) {
	srv, p, token := newServerWithAlice(t)
	srv.updateManually(token, "nickName", "Al", "avatarUrl", manualAvatar)
	srv.advance(2 * time.Second)
	r := srv.updateEncrypted(token, p, map[string]any{"nickName": wechat.AnonymousNickName, "avatarUrl": pictureOfWeChat})
	if r.body.Anonymous || srv.column("nickname") != "Al" || srv.column("avatar_url") != pictureOfWeChat || srv.column("profile_source") != "1" {
		t.Errorf("anonymous %t, row\n%s", r.body.Anonymous, srv.userRow())
	}
	srv.advance(2 * time.Second)
	r = srv.updateEncrypted(token, p, map[string]any{"nickName": "Band", "avatarUrl": wechat.AnonymousAvatarURL})
	if r.body.Anonymous || srv.column("nickname") != "Band" || srv.column("avatar_url") != pictureOfWeChat || srv.column("language") != "zh_CN" {
		t.Errorf("anonymous %t, row\n%s", r.body.Anonymous, srv.userRow())
	}
}

// Text that is not UTF-8 is rejected, not repaired: a repaired name would differ from what was sent.
func TestProfileInput_InvalidUTF8(t *testing.T) {
	srv, _, token := newServerWithAlice(t)
	before := srv.userRow()
	for name, in := range map[string]struct{ contentType, content string }{
		"form":             {formType, "nickName=Al%FF&token=" + token},
		"form surrogate":   {formType, "nickName=Al%ED%A0%BD&token=" + token},
		"form other field": {formType, "nickName=Al&x=%FF&token=" + token},
		"json":             {"application/json", "{\"nickName\":\"Al\xff\",\"token\":\"" + token + `"}`},
		"json surrogate":   {"application/json", `{"nickName":"Al\ud83d","token":"` + token + `"}`},
		"json nul":         {"application/json", `{"avatarUrl":"` + manualAvatar + `\u0000","token":"` + token + `"}`},
		"json other field": {"application/json", `{"nickName":"Al","x":"\ude00","token":"` + token + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			srv.wantProblem(srv.do(srv.request("/updateUserInfo", in.contentType, in.content)), 400, "invalid_request", "none")
			srv.wantUnchanged(before)
		})
	}
}
