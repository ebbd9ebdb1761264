package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wxlogin/store"
)

// imported returns what users have, in the order of their ids: nickname, external id, and since when they are users.
func (o *operator) imported() []string {
	o.t.Helper()
	return o.column("SELECT CONCAT_WS(' ', i.openid, u.nickname, COALESCE(u.external_id, '-'), YEAR(u.created_at)) " +
		"FROM users u JOIN wechat_identities i ON i.user_id = u.id ORDER BY u.id")
}

func TestImport(t *testing.T) {
	o := newOperator(t)
	o.phones = []string{"13800138001"}
	alice := o.login(appID, "oAlice", "")
	o.profile("oAlice", store.Profile{NickName: "Alice"})
	o.login(otherApp, "oHongInB", "uHong")
	file := o.list("\ufeffOpenID,unionid,External_ID,nickname,avatar_url,phone,created_at\r\n" +
		"oAlice,,1001,old,https://example.com/a.jpg,+8613800138001,2019-05-01T08:30:00+08:00\r\n" +
		"\"oMing\",,1002,\"小明, \"\"M\"\"\",,,2020-05-01T08:30:00+08:00\r\n" +
		"\r\n" +
		"oHong,uHong,1003,,,,\r\n" +
		"oBob,,,微信用户,,,2021-05-01T00:00:00Z")
	o.unchanged(func() {
		o.want(exitOK, "4 lines: 3 openids are new, 1 are known, 0 would be refused", "import", "-file", file, "-appid", appID, "-dry-run")
	})
	o.want(exitOK, "4 lines: 2 users created, 1 filled, 1 merged, 0 unchanged, 0 refused", "import", "-file", file, "-appid", appID)
	thisYear := o.column("SELECT YEAR(created_at) FROM users WHERE id = ?", alice.ID)[0]
	want := []string{
		"oAlice Alice 1001 " + thisYear, "oHongInB  1003 " + thisYear, "oHong  1003 " + thisYear, "oMing 小明, \"M\" 1002 2020", "oBob  - 2021",
	}
	got := o.imported()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the users are\n%q, want\n%q", got, want)
	}
	o.unchanged(func() {
		o.want(exitOK, "4 lines: 0 users created, 0 filled, 0 merged, 4 unchanged, 0 refused", "import", "-file", file, "-appid", appID)
		o.want(exitOK, "0 openids are new, 4 are known", "import", "-file", file, "-appid", appID, "-dry-run")
	})
	if _, created, err := o.users.Login(t.Context(), store.Identity{AppID: appID, OpenID: "oMing"}); err != nil || created {
		t.Errorf("the first login: created %v, %v", created, err)
	}
	o.want(exitOK, "Alice", "user", "find", "-external-id", "1001")
	o.want(exitFailed, "no user found", "user", "find", "-external-id", "100")
	o.want(exitOK, "external id       1001\n", "user", "show", id(alice))
	o.want(exitOK, `"externalId": "1001"`, "user", "export", id(alice))
}

// Lines that cannot be taken over are reported by number, in order, without what is in them, and the others are done.
func TestImport_BadLines(t *testing.T) {
	o := newOperator(t)
	o.login(appID, "oAlice", "")
	file := o.list("openid,external_id,nickname,phone\n" +
		"oFirst,1,First,+8613800138000\n" + // 2
		"oSecret1,,Secret,13800138000\n" + // 3
		",1,Secret,\n" + // 4
		"oSecret2,a b,Secret,\n" + // 5
		"oSecret 3,,Secret,\n" + // 6
		"oSecret4,1,Secret,\n" + // 7
		"oSecret5,,Secret\n" + // 8
		"oLast,2,Last,") // 9
	o.phones = []string{"13800138000"}
	code, stdout, _ := o.run("import", "-file", file, "-appid", appID, "-dry-run")
	if code != exitFailed || !strings.Contains(stdout, "8 lines: 3 openids are new, 0 are known, 5 would be refused") { // line 7 only conflicts with line 2
		t.Errorf("dry run: exit code %d, stdout %q", code, stdout)
	}
	code, stdout, stderr := o.run("import", "-file", file, "-appid", appID)
	if code != exitFailed || !strings.Contains(stdout, "8 lines: 2 users created, 0 filled, 0 merged, 0 unchanged, 6 refused") {
		t.Errorf("exit code %d, stdout %q", code, stdout)
	}
	var lines []string
	for line := range strings.Lines(stderr) {
		number, _, _ := strings.Cut(line, " is refused: ")
		lines = append(lines, strings.TrimPrefix(number, "line "))
	}
	if !slices.Equal(lines, []string{"3", "4", "5", "6", "7", "8"}) {
		t.Errorf("refused lines %q", lines)
	}
	if strings.Contains(stdout+stderr, "ecret") || !strings.Contains(stderr, "line 7 is refused: another user has this external_id\n") {
		t.Errorf("stderr:\n%s", stderr)
	}
	if got := o.imported(); len(got) != 3 || !strings.HasPrefix(got[1], "oFirst First 1 ") || !strings.HasPrefix(got[2], "oLast Last 2 ") {
		t.Errorf("the users are %q", got)
	}
}

func TestImport_CommandLine(t *testing.T) {
	o := newOperator(t)
	good := o.list("openid\noAlice\n")
	o.unchanged(func() {
		for text, words := range map[string]string{
			"":                         "the file is empty",
			"openid,name\noAlice,a\n":  `column 2 ("name") is none of openid, unionid`,
			"openid,openid\noA,oA\n":   "openid is there twice",
			"nickname\nAlice\n":        "no column openid",
			"oGZUI0egBJY1zhBYw2KhdU\n": "column 1 is none of",
		} {
			o.want(exitUsage, words, "import", "-file", o.list(text), "-appid", appID)
		}
		for args, words := range map[string]string{
			"":                             "-file and -appid are required",
			"-file " + good:                "-file and -appid are required",
			"-appid " + appID:              "-file and -appid are required",
			"-file " + good + " more":      "Usage: wxlogin import",
			"-file " + good + " -appid wx": "-appid is none of the mini-programs",
		} {
			o.want(exitUsage, words, append([]string{"import"}, strings.Fields(args)...)...)
		}
		o.want(exitFailed, "no such file", "import", "-appid", appID, "-file", filepath.Join(t.TempDir(), "missing.csv"))
	})
	o.environ = []string{"MYSQL_DSN=" + o.dsn} // is enough
	o.want(exitOK, "1 users created", "import", "-file", good, "-appid", appID)
	o.environ = []string{"MYSQL_DSN=root@tcp(127.0.0.1:1)/x"}
	o.want(exitFailed, "database unavailable", "import", "-file", good, "-appid", appID)
	var out bytes.Buffer
	if code := run(t.Context(), []string{"import", "-file=x", "-appid=x"}, nil, &out, &out); code != exitUsage || !strings.Contains(out.String(), "MYSQL_DSN is not set") {
		t.Errorf("exit code %d: %s", code, &out)
	}
}

// The commands and the list that the pages show are run.
func TestImport_Documented(t *testing.T) {
	o := newOperator(t)
	for _, page := range []string{"migrate.md", "migrate.zh-CN.md"} {
		content, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		_, list, _ := strings.Cut(text, "\n```\nopenid,")
		list, _, _ = strings.Cut("openid,"+list, "```")
		file := o.list(list)
		_, block, _ := strings.Cut(text, "\n```sh\nwxlogin import")
		block, _, _ = strings.Cut("wxlogin import"+block, "\n```")
		commands := strings.Split(block, "\n")
		if len(commands) != 2 {
			t.Fatalf("%s shows %q", page, commands)
		}
		for _, line := range commands {
			o.want(exitOK, fmt.Sprint(strings.Count(list, "\n")-1, " lines: "), strings.Fields(strings.Replace(line, "users.csv", file, 1))[1:]...)
		}
		_, query, _ := strings.Cut(text, "\n```sql\n")
		query, _, _ = strings.Cut(query, ";")
		if got := o.column("SELECT users FROM (" + query + ") counts"); !slices.Equal(got, []string{fmt.Sprint(strings.Count(list, "\n") - 1)}) {
			t.Errorf("%s: %q users", page, got)
		}
	}
}
