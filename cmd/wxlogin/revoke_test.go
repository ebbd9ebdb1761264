package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

// list writes a list and returns its file.
func (o *operator) list(text string) string {
	o.t.Helper()
	file := filepath.Join(o.t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return file
}

// people makes users with a nickname, a picture, a phone number and a session.
func (o *operator) people(openIDs ...string) {
	o.t.Helper()
	for i, openID := range openIDs {
		o.login(appID, openID, "")
		avatar := fmt.Sprintf("/avatars/%032x.jpg", i)
		o.file(avatar)
		o.profile(openID, store.Profile{NickName: "P" + openID, AvatarURL: avatar, Source: store.SourceUser})
		o.phone(openID, "86", fmt.Sprint(13800138000+i))
		o.session(appID, openID)
	}
}

// left returns what users have: the nickname, and whether there is an avatar and a phone number.
func (o *operator) left() []string {
	o.t.Helper()
	return o.column("SELECT CONCAT_WS(' ', nickname, CASE WHEN avatar_url = '' THEN '-' ELSE 'avatar' END, " +
		"CASE WHEN phone_number IS NULL THEN '-' ELSE 'phone' END) FROM users ORDER BY id")
}

func TestRevoke(t *testing.T) {
	o := newOperator(t)
	o.people("o6", "o8", "o19", "o20", "oAll", "oOther", "oGone", "oStays")
	file := o.list("\ufeffRevoke, OpenID ,appid\r\n" +
		"6,o6," + appID + "\r\n" +
		"8,o8,\r\n" +
		"\"19\",\"o19\",\"" + appID + "\"\r\n" +
		"\r\n" +
		"20,o20," + appID + "\r\n" +
		"\"6, 8\",oAll," + appID + "\r\n" +
		"1;12 99,oOther," + appID + "\r\n" +
		"Cancel,oGone," + appID + "\r\n" +
		"6,oUnknown," + appID + "\r\n")
	o.unchanged(func() {
		o.want(exitOK, "8 lines: 6 would be applied (1 users would be erased), 1 without effect, 1 of unknown users, 0 refused",
			"revoke", "-file", file, "-dry-run")
	})
	o.want(exitOK, "8 lines: 6 applied (1 users erased), 1 without effect, 1 of unknown users, 0 refused", "revoke", "-file", file)
	want := []string{
		" - phone", "Po8 avatar -", " avatar phone", "Po20 - phone", " - -", "PoOther avatar phone", " - -", "PoStays avatar phone",
	}
	if got := o.left(); !slices.Equal(got, want) {
		t.Errorf("the users have\n%q, want\n%q", got, want)
	}
	if got := len(o.files()); got != 4 { // those of o8, o19, oOther and oStays
		t.Errorf("%d pictures are left", got)
	}
	if got := len(o.keys()); got != 2*7 {
		t.Errorf("%d keys are left", got)
	}
	changes := o.column("SELECT CONCAT_WS(' ', kind, reason, actor, note) FROM user_changes ORDER BY seq")
	if want := []string{
		"profile_removed wechat nickname, avatar", "phone_removed wechat", "profile_removed wechat nickname", "profile_removed wechat avatar",
		"profile_removed wechat nickname, avatar", "phone_removed wechat", "erased wechat",
	}; !slices.Equal(changes, want) {
		t.Errorf("user_changes has\n%q, want\n%q", changes, want)
	}
	before := o.left()
	o.want(exitOK, "8 lines: 5 applied (0 users erased), 1 without effect, 2 of unknown users, 0 refused", "revoke", "-file", file)
	if got := o.left(); !slices.Equal(got, before) || len(o.column("SELECT seq FROM user_changes")) != len(changes) {
		t.Errorf("a second run changes something: %q", got)
	}
}

// Lines that cannot be read are reported by number, without what is in them, and the others are done.
func TestRevoke_BadLines(t *testing.T) {
	o := newOperator(t)
	o.people("oFirst", "oLast")
	file := o.list("openid,appid,revoke\n" +
		"oFirst," + appID + ",8\n" + // 2
		"oSecret\"1,x\n" + // 3
		"\"oSecret2," + appID + ",8\n" + // 4
		"oSecret3,wxunknown0000000,8\n" + // 5
		"," + appID + ",8\n" + // 6
		"oSecret4," + appID + ",phone\n" + // 7
		"oSecret5," + appID + ",\n" + // 8
		"oSecret6," + appID + ",6,8\n" + // 9
		"oSecret7\n" + // 10
		"oSecret 8," + appID + ",8\n" + // 11
		"oSecret9" + strings.Repeat("x", 70000) + "," + appID + ",8\n" + // 12
		"oLast," + appID + ",8") // 13, without a line end
	for _, flags := range [][]string{{"-dry-run"}, nil} {
		code, stdout, stderr := o.run(append([]string{"revoke", "-file", file}, flags...)...)
		if code != exitFailed || !strings.Contains(stdout, "12 lines: 2 ") || !strings.Contains(stdout, "10 refused") {
			t.Errorf("exit code %d, stdout %q", code, stdout)
		}
		for line := 2; line <= 13; line++ {
			refused := line > 2 && line < 13
			if strings.Contains(stderr, fmt.Sprintf("line %d is refused: ", line)) != refused {
				t.Errorf("line %d: %s", line, stderr)
			}
		}
		if strings.Contains(stdout+stderr, "oSecret") || strings.Contains(stdout+stderr, "oFirst") {
			t.Errorf("the output has an openid: %s", stderr)
		}
	}
	if got := o.left(); !slices.Equal(got, []string{"PoFirst avatar -", "PoLast avatar -"}) {
		t.Errorf("the users have %q", got)
	}
}

func TestRevoke_Header(t *testing.T) {
	o := newOperator(t)
	o.people("oAlice")
	several := append(slices.Clone(o.environ), "WECHAT_APPS="+otherApp+":"+secret)
	o.unchanged(func() {
		for text, words := range map[string]string{
			"":                             "the file is empty",
			"\n":                           "the file is empty",
			"openid,revoke,nickname\n":     `column 3 ("nickname") is none of openid, appid, revoke`,
			"openid,revoke,openid\n":       "openid is there twice",
			"openid\noAlice\n":             "no column revoke",
			"revoke\n6\n":                  "no column openid",
			"oGZUI0egBJY1zhBYw2KhdUfw,6\n": "column 1 is none of",
			"openid;revoke\noAlice;6\n":    "column 1 is none of",
			"\"openid,revoke\noAlice,6\n":  "the quotes are wrong",
		} {
			o.want(exitUsage, words, "revoke", "-file", o.list(text))
		}
		one := o.environ
		o.environ = several
		o.want(exitUsage, "no column appid", "revoke", "-file", o.list("openid,revoke\noAlice,6\n"))
		o.want(exitFailed, "line 2 is refused: appid", "revoke", "-file", o.list("openid,revoke,appid\noAlice,6,\n"))
		o.environ = one
		o.want(exitFailed, "no such file", "revoke", "-file", filepath.Join(t.TempDir(), "missing.csv"))
		o.environ = append(one, "WECHAT_SECRET=")
		o.want(exitUsage, "WECHAT_SECRET is not set", "revoke", "-file", o.list("openid,revoke\n"))
	})
}

// What a user gave after the time in the list stays, also an account.
func TestRevoke_Time(t *testing.T) {
	o := newOperator(t)
	o.people("oKeeps", "oLoses", "oNewer")
	before := time.Now().Add(-time.Hour).Format(time.RFC3339)
	after := time.Now().Add(time.Hour).In(time.FixedZone("", 8*3600)).Format(time.RFC3339)
	file := o.list("openid,revoke,revoked_at\noKeeps,6 8," + before + "\noLoses,6 8," + after + "\noNewer,cancel," + before + "\n")
	o.want(exitOK, "3 lines: 2 applied (0 users erased), 1 without effect", "revoke", "-file", file)
	if got, want := o.left(), []string{"PoKeeps avatar phone", " - -", "PoNewer avatar phone"}; !slices.Equal(got, want) {
		t.Errorf("the users have %q, want %q", got, want)
	}
	o.want(exitFailed, "line 2 is refused: revoked_at", "revoke", "-file", o.list("openid,revoke,revoked_at\noLoses,6,yesterday\n"))
}

// An erase that cannot end the sessions counts, and the exit code says that something is left.
func TestRevoke_WithoutPictures(t *testing.T) {
	o := newOperator(t)
	o.people("oAlice")
	o.environ = o.environ[:4] // no AVATAR_DIR
	o.want(exitFailed, "1 lines: 1 applied (0 users erased)", "revoke", "-file", o.list("openid,revoke\noAlice,20\n"))
	if got := o.left(); !slices.Equal(got, []string{"PoAlice - phone"}) || len(o.files()) != 1 {
		t.Errorf("the users have %q, and there are files %q", got, o.files())
	}
	if n := len(o.column("SELECT id FROM pending_deletions")); n != 1 {
		t.Errorf("%d deletions are pending, want 1", n)
	}
}

func TestRevoke_Documented(t *testing.T) {
	o := newOperator(t)
	o.people("oGZUI0egBJY1zhBYw2KhdUfwVJJE", "oGZUI0SM5T6ZsJ4wLrLMxTYq6t5k")
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "\n```\nopenid,appid,revoke")
	list, _, _ = strings.Cut("openid,appid,revoke"+list, "```")
	file := o.list(list)
	for _, line := range documented(t, "wxlogin revoke") {
		o.want(exitOK, "2 lines: 2 ", strings.Fields(strings.Replace(line, "list.csv", file, 1))[1:]...)
	}
}
