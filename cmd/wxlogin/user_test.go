package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/terminal"
	"wxlogin/store"
)

// Each command has its help, which names each flag, and no other output.
func TestUser_Help(t *testing.T) {
	for command, words := range map[string]string{
		"user":         "find show block unblock erase export MYSQL_DSN REDIS_URL",
		"user find":    "-openid -unionid -external-id -nickname -phone",
		"user show":    "ID",
		"user block":   "-reason -by",
		"user unblock": "-reason -by",
		"user erase":   "-reason -by -dry-run",
		"user export":  "ID phone",
		"import":       "-file -appid -dry-run openid unionid external_id nickname avatar_url phone created_at MYSQL_DSN",
		"revoke":       "-file -dry-run openid appid revoke revoked_at cancel WECHAT_APPID REDIS_URL",
		"sweep":        "-dry-run",
	} {
		for _, flag := range []string{"-help", "--help", "-h"} {
			var stdout, stderr bytes.Buffer
			args := append(strings.Fields(command), flag)
			if code := run(t.Context(), args, nil, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
				t.Errorf("%q: exit code %d, stderr %q", args, code, &stderr)
			}
			for _, word := range append(strings.Fields(words), "Usage: wxlogin "+command) {
				if !strings.Contains(stdout.String(), word) {
					t.Errorf("%q does not print %q:\n%s", args, word, &stdout)
				}
			}
			if n := strings.Count(stdout.String(), "Usage:"); n != 1 {
				t.Errorf("%q prints the usage %d times", args, n)
			}
			for line := range strings.Lines(stdout.String()) {
				if len(line) > 130 {
					t.Errorf("%q prints a line of %d characters: %s", args, len(line), line)
				}
			}
		}
	}
}

func TestUser_CommandLine(t *testing.T) {
	for _, args := range []string{
		"user", "user list", "user find", "user find Alice", "user find -openid o -unionid u", "user find -openid=", "user find -phone=x1",
		"user find -phone=+", "user find -nickname=\xff", "user find -name=Alice", "user show", "user show x", "user show -1", "user show 1 2",
		"user show 1 -by=li", "user block", "user block 1", "user block 1 -reason=spam", "user block 1 -by=li",
		"user block 1 -reason= -by=li", "user unblock", "user erase", "user erase x", "user erase 1 -now", "user export", "revoke",
		"revoke list.csv", "revoke -file=list.csv more",
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(args), nil, &stdout, &stderr)
		if code != exitUsage || stdout.Len() > 0 || strings.Count(stderr.String(), "Usage: wxlogin ") != 1 {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, &stdout, &stderr)
		}
	}
	for args, words := range map[string][]string{
		"user find -openid=o": {"MYSQL_DSN is not set"},
		"user show 1":         {"MYSQL_DSN is not set"},
		"user erase 1":        {"MYSQL_DSN is not set", "REDIS_URL is not set"},
		"revoke -file=x":      {"MYSQL_DSN is not set", "REDIS_URL is not set", "WECHAT_APPID is not set"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), nil, &out, &out); code != exitUsage {
			t.Errorf("%q: exit code %d", args, code)
		}
		for _, word := range words {
			if !strings.Contains(out.String(), word) {
				t.Errorf("%q does not print %q:\n%s", args, word, &out)
			}
		}
	}
}

// columns returns where the columns of a table begin, on a terminal.
func columns(line string) (starts []int) {
	for _, cell := range regexp.MustCompile(`(^|  +)\S+( \S+)*`).FindAllStringIndex(line, -1) {
		text := line[:cell[1]]
		start := strings.TrimLeft(line[cell[0]:cell[1]], " ")
		starts = append(starts, terminal.Width(text)-terminal.Width(start))
	}
	return starts
}

func TestUser_Find(t *testing.T) {
	o := newOperator(t)
	alice, merged := o.alice()
	ming := o.login(appID, "oMing", "uMing")
	o.profile("oMing", store.Profile{NickName: "小明同学今天也要加油呀加油", AvatarURL: "https://example.com/a.jpg"})
	hong := o.login(appID, "oHong", "")
	o.profile("oHong", store.Profile{NickName: "小红"})
	o.phone("oHong", "852", "13800138000")
	odd := o.login(appID, "oOdd", "")
	o.profile("oOdd", store.Profile{NickName: "100%_\x1b[2J\u202eodd"})

	for _, tt := range []struct {
		flag, value string
		want        []store.User
	}{
		{"-openid", "oAlice", []store.User{alice}},
		{"-openid", "oAliceToo", []store.User{alice}},
		{"-openid", "oalice", nil},
		{"-openid", "微信", nil},
		{"-unionid", "uMing", []store.User{ming}},
		{"-unionid", "微信", nil},
		{"-nickname", "aLI", []store.User{alice}},
		{"-nickname", "lice", nil},
		{"-nickname", "小", []store.User{ming, hong}},
		{"-nickname", "%", nil},
		{"-nickname", "100%_", []store.User{odd}},
		{"-phone", "13800138000", []store.User{alice, hong}},
		{"-phone", "+8613800138000", []store.User{alice}},
		{"-phone", "8613800138000", []store.User{alice}},
		{"-phone", "+86 138-0013-8000", []store.User{alice}},
		{"-phone", "+852 13800138000", []store.User{hong}},
		{"-phone", "13800138001", nil},
	} {
		want := exitOK
		if tt.want == nil {
			want = exitFailed
		}
		code, stdout, stderr := o.run("user", "find", tt.flag, tt.value)
		if code != want || (code == exitOK) != (stderr == "") {
			t.Errorf("%s %s: exit code %d, stderr %q", tt.flag, tt.value, code, stderr)
		}
		var got []store.User
		for _, line := range strings.Split(stdout, "\n")[min(1, len(stdout)):] {
			for _, user := range []store.User{alice, merged, ming, hong, odd} {
				if strings.HasPrefix(line, id(user)+" ") {
					got = append(got, user)
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) && len(got)+len(tt.want) > 0 {
			t.Errorf("%s %s finds\n%s", tt.flag, tt.value, stdout)
		}
	}
	o.want(exitFailed, "no user found", "user", "find", "-openid", "oNobody")

	table := o.want(exitOK, "UTC", "user", "find", "-nickname", "小")
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	for _, line := range lines {
		if !slices.Equal(columns(line), columns(lines[0])) || terminal.Width(line) > 120 {
			t.Errorf("columns at %v, and in the header at %v:\n%s", columns(line), columns(lines[0]), table)
		}
	}
	if odd := o.want(exitOK, "odd", "user", "find", "-nickname", "100"); strings.ContainsAny(odd, "\x1b\u202e") {
		t.Errorf("%q commands the terminal", odd)
	}
	for _, word := range []string{"Alice", "active", "complete", "yes", " 2 "} {
		if table := o.want(exitOK, word, "user", "find", "-openid", "oAlice"); strings.Contains(table, "incomplete") {
			t.Errorf("Alice is\n%s", table)
		}
	}
	o.want(exitOK, "incomplete", "user", "find", "-openid", "oHong")
}

func TestUser_FindMany(t *testing.T) {
	o := newOperator(t)
	for i := range 102 {
		_, err := o.raw.Exec("INSERT INTO users (nickname, created_at, updated_at, last_login_at) VALUES (?, NOW(), NOW(), NOW())",
			fmt.Sprint("many", i))
		if err != nil {
			t.Fatal(err)
		}
	}
	table := o.want(exitOK, "more than these 100", "user", "find", "-nickname", "many")
	if n := strings.Count(table, "many"); n != 100 {
		t.Errorf("%d users", n)
	}
}

func TestUser_Show(t *testing.T) {
	o := newOperator(t)
	alice, merged := o.alice()
	o.want(exitOK, "", "user", "block", id(alice), "-reason", "spam 广告", "-by", "li@example.com")
	words := []string{
		"user " + id(alice) + "\n", "disabled", "Alice", "https://login.example.com" + picture, "深圳", ", country code 86\n", "bound 20", " UTC",
		"uAlice", appID, "oAlice ", otherApp, "oAliceToo", id(merged), "merged", "spam 广告", "li@example.com", "history", "merges",
	}
	shown := o.want(exitOK, "", "user", "show", id(alice))
	for _, word := range words {
		if !strings.Contains(shown, word) {
			t.Errorf("show does not print %q:\n%s", word, shown)
		}
	}
	o.unchanged(func() {
		viaMerged := o.want(exitOK, "", "user", "show", id(merged))
		if viaMerged != fmt.Sprintf("user %d was merged into user %d\n", merged.ID, alice.ID)+shown {
			t.Errorf("a merged user's id shows\n%s", viaMerged)
		}
	})
	o.want(exitFailed, "no user with this id", "user", "show", "99999")
	o.want(exitOK, "", "user", "erase", id(alice), "-by", "li")
	erased := o.want(exitOK, "erased", "user", "show", id(alice))
	for _, word := range []string{"Alice", "bound", "深圳", "spam"} {
		if strings.Contains(erased, word) {
			t.Errorf("an erased user shows\n%s", erased)
		}
	}
}

func TestUser_Block(t *testing.T) {
	o := newOperator(t)
	alice, merged := o.alice()
	status := func(want string) {
		t.Helper()
		if got := o.column("SELECT status FROM users WHERE id = ?", alice.ID); got[0] != want {
			t.Errorf("status %s, want %s", got[0], want)
		}
	}
	o.want(exitOK, "is blocked", "user", "block", id(alice), "-reason", "spam", "-by", "li")
	status("2")
	o.unchanged(func() { o.want(exitOK, "already", "user", "block", "-reason=again", id(alice), "-by", "wu") })
	o.want(exitOK, "is active", "user", "unblock", "-reason", "a mistake", "-by", "wu", id(alice))
	status("1")
	o.unchanged(func() { o.want(exitOK, "already", "user", "unblock", id(alice)) })
	rows := o.column("SELECT CONCAT_WS(' ', kind, user_id, reason, actor) FROM user_changes WHERE kind <> 'merged' ORDER BY seq")
	if want := []string{"disabled " + id(alice) + " spam li", "enabled " + id(alice) + " a mistake wu"}; !slices.Equal(rows, want) {
		t.Errorf("user_changes has %q, want %q", rows, want)
	}
	o.unchanged(func() {
		for _, command := range []string{"block", "unblock"} {
			o.want(exitFailed, "merged into user "+id(alice), "user", command, id(merged), "-reason", "spam", "-by", "li")
			o.want(exitFailed, "no user with this id", "user", command, "99999", "-reason", "spam", "-by", "li")
		}
	})
	o.want(exitOK, "", "user", "erase", id(alice))
	o.unchanged(func() {
		o.want(exitFailed, "the user is erased", "user", "block", id(alice), "-reason", "spam", "-by", "li")
		o.want(exitFailed, "the user is erased", "user", "unblock", id(alice), "-reason", "spam", "-by", "li")
	})
}

func TestUser_Export(t *testing.T) {
	o := newOperator(t)
	alice, merged := o.alice()
	o.want(exitOK, "", "user", "block", id(alice), "-reason", "spam", "-by", "li")
	var e struct {
		User                                     map[string]any
		Identities, MergedUsers, Merges, Changes []map[string]any
	}
	var before string
	o.unchanged(func() { before = o.want(exitOK, "", "user", "export", id(alice)) })
	if err := json.Unmarshal([]byte(before), &e); err != nil {
		t.Fatalf("%v: %s", err, before)
	}
	for field, want := range map[string]any{
		"id": float64(alice.ID), "status": "disabled", "nickName": "Alice", "avatarUrl": "https://login.example.com" + picture, "city": "深圳",
		"unionid": "uAlice", "phoneNumber": "+8613800138000", "profileSource": "person", "gender": 0.0, "language": "",
	} {
		if e.User[field] != want {
			t.Errorf("%s is %v, want %v", field, e.User[field], want)
		}
	}
	if len(e.Identities) != 2 || e.Identities[0]["openid"] != "oAlice" || e.Identities[1]["appid"] != otherApp {
		t.Errorf("identities %v", e.Identities)
	}
	if len(e.MergedUsers) != 1 || e.MergedUsers[0]["id"] != float64(merged.ID) {
		t.Errorf("merged users %v", e.MergedUsers)
	}
	if len(e.Merges) != 1 || e.Merges[0]["unionid"] != "uAlice" || e.Merges[0]["survivorId"] != float64(alice.ID) {
		t.Errorf("merges %v", e.Merges)
	}
	if len(e.Changes) != 2 || e.Changes[1]["reason"] != "spam" || e.Changes[1]["actor"] != "li" {
		t.Errorf("changes %v", e.Changes)
	}
	if via := o.want(exitOK, "", "user", "export", id(merged)); via != before {
		t.Errorf("a merged user's id exports %s", via)
	}
	o.want(exitFailed, "no user with this id", "user", "export", "99999")
	o.want(exitOK, "", "user", "erase", id(alice))
	if erased := o.want(exitOK, `"erased"`, "user", "export", id(alice)); strings.Contains(erased, "Alice") {
		t.Errorf("an erased user exports %s", erased)
	}
}

// The commands that docs/operations.md shows are run, with an id that there is.
func TestUser_Documented(t *testing.T) {
	o := newOperator(t)
	alice, _ := o.alice()
	o.login(appID, "oGZUI0egBJY1zhBYw2KhdUfwVJJE", "")
	o.profile("oGZUI0egBJY1zhBYw2KhdUfwVJJE", store.Profile{NickName: "小明"})
	if _, err := o.users.SetExternalID(t.Context(), alice.ID, "1001", store.Cause{}); err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`'[^']*'|\S+`)
	lines := documented(t, "wxlogin user find")
	for _, line := range lines {
		line, _, _ = strings.Cut(line, " > ")
		args := word.FindAllString(strings.Replace(line, " 12", " "+id(alice), 1), -1)
		for i := range args {
			args[i] = strings.Trim(args[i], "'")
		}
		o.want(exitOK, "", args[1:]...)
	}
	if got := o.column("SELECT CONCAT_WS(' ', kind, reason, actor, note) FROM user_changes WHERE kind = 'erased'"); len(lines) < 9 ||
		!slices.Equal(got, []string{"erased admin li asked by mail"}) {
		t.Errorf("%d commands, user_changes has %q", len(lines), got)
	}
}

// documented returns the lines of the block of docs/operations.md that begins with a text.
func documented(t *testing.T, begin string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "\n```sh\n"+begin)
	block, _, _ = strings.Cut(begin+block, "\n```")
	if !found {
		t.Fatalf("operations.md has no block %q", begin)
	}
	return strings.Split(block, "\n")
}
