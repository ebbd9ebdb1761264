package wxlogin_test

import (
	"bufio"
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/store"
)

const (
	english = "README.md"
	chinese = "README.zh-CN.md"
)

// block is one fenced block of a README.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks are a README's blocks in these languages, in order.
func blocks(t *testing.T, file string, languages ...string) []block {
	t.Helper()
	var found []block
	for _, m := range fence.FindAllStringSubmatch(read(t, file), -1) {
		if slices.Contains(languages, m[1]) {
			found = append(found, block{m[1], m[2]})
		}
	}
	return found
}

// script is the one shell block that holds a text.
func script(t *testing.T, holding string) string {
	t.Helper()
	for _, b := range blocks(t, english, "sh") {
		if strings.Contains(b.text, holding) {
			return b.text
		}
	}
	t.Fatalf("%s has no block with %q", english, holding)
	return ""
}

func TestReadme_both_languages_show_the_same(t *testing.T) {
	shown := []string{"sh", "console", "js", "sql", "nginx"}
	if en, zh := blocks(t, english, shown...), blocks(t, chinese, shown...); !slices.Equal(en, zh) {
		t.Errorf("%d and %d blocks, or other contents", len(en), len(zh))
	}
	code := regexp.MustCompile("(?m)^\\| (?:\\d+ \\| )?`([^`]+)`")
	en, zh := code.FindAllString(read(t, english), -1), code.FindAllString(read(t, chinese), -1)
	if len(en) < 25 || !slices.Equal(en, zh) {
		t.Errorf("the tables have %d and %d rows, or other ones", len(en), len(zh))
	}
	if en, zh := headings(t, english), headings(t, chinese); en != zh {
		t.Errorf("%d and %d headings", en, zh)
	}
}

func headings(t *testing.T, file string) int { return strings.Count(read(t, file), "\n## ") }

// What README says of a first look is what a first look shows.
func TestReadme_transcript(t *testing.T) {
	shown := blocks(t, english, "console")
	if len(shown) != 1 {
		t.Fatalf("%d transcripts", len(shown))
	}
	command, transcript, _ := strings.Cut(shown[0].text, "\n")
	if command != "$ go run ./cmd/demo -once" {
		t.Fatalf("the transcript is of %s", command)
	}
	out, err := exec.Command("go", strings.Fields(command)[2:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	cut := regexp.MustCompile(`[^\s=]{1,7}…\(`)
	actual := strings.Split(cut.ReplaceAllString(string(out), "…("), "\n")
	for line := range strings.Lines(transcript) {
		want := strings.TrimSuffix(cut.ReplaceAllString(line, "…("), "\n")
		i := slices.Index(actual, want)
		if i < 0 {
			t.Fatalf("the demo does not say, or not in this order: %s", want)
		}
		actual = actual[i+1:]
	}
}

// The mini-programs' code is what Node runs against the server: the classic login, and the ten lines.
func TestReadme_mini_program_is_the_tested_one(t *testing.T) {
	_, classic, _ := strings.Cut(read(t, "examples/test/classic.js"), "// readme:begin\n")
	classic, _, _ = strings.Cut(classic, "// readme:end")
	tenLines := "// app.js\n" + read(t, "examples/test/quickstart/app.js") +
		"\n// pages/me/me.js\n" + read(t, "examples/test/quickstart/me.js")
	code := blocks(t, english, "js")
	if !slices.Equal(code, []block{{"js", classic}, {"js", tenLines}}) {
		t.Error("README shows other code than examples/test/classic.js and examples/test/quickstart")
	}
}

// The gateway's part is that of the configuration which examples/gateway runs.
func TestReadme_nginx_is_the_tested_one(t *testing.T) {
	_, part, _ := strings.Cut(read(t, "examples/gateway/nginx/nginx.conf"), "# readme:begin\n")
	part, _, _ = strings.Cut(part, "        # readme:end")
	part = strings.TrimPrefix(strings.ReplaceAll("\n"+part, "\n        ", "\n"), "\n")
	if code := blocks(t, english, "nginx"); !slices.Equal(code, []block{{"nginx", part}}) {
		t.Error("README shows another configuration than examples/gateway/nginx/nginx.conf")
	}
}

// The pictures, files and headings that the pages link to are there.
func TestReadme_links_lead_somewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):]+)\)`)
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(pages, english, chinese, "CONTRIBUTING.md", "SECURITY.md") {
		links := link.FindAllStringSubmatch(read(t, file), -1)
		if strings.HasPrefix(file, "README") && len(links) < 5 {
			t.Errorf("%s: %d links", file, len(links))
		}
		for _, l := range links {
			name, anchor, anchored := strings.Cut(l[1], "#")
			target := file
			if name != "" {
				target = filepath.Join(filepath.Dir(file), name)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if anchored && !slices.Contains(anchors(t, target), anchor) {
				t.Errorf("%s: %s has no heading #%s", file, target, anchor)
			}
		}
	}
}

// anchors are what a page's headings are linked by: in lower case, with - for spaces and without other signs.
func anchors(t *testing.T, file string) (anchors []string) {
	t.Helper()
	sign := regexp.MustCompile(`[^\pL\pN _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(read(t, file), -1) {
		anchors = append(anchors, strings.ReplaceAll(strings.ToLower(sign.ReplaceAllString(m[1], "")), " ", "-"))
	}
	return anchors
}

func TestReadme_every_command_is_known(t *testing.T) {
	// .ci/run runs the second as it stands, and has Docker's own code read the file of the third.
	var first []string
	for _, b := range blocks(t, english, "sh") {
		line, _, _ := strings.Cut(b.text, "\n")
		first = append(first, line)
	}
	want := []string{
		"go run ./cmd/demo", "go test ./...",
		`curl -fsS http://127.0.0.1:9090/introspect -H "X-Api-Key: $INTERNAL_API_KEY" --data-urlencode "token=$TOKEN"`,
		"docker compose up --build",
		"mysql -h 127.0.0.1 -u root -p <<'EOF'",
		"export WECHAT_APPID=wx0123456789abcdef WECHAT_SECRET=your-appsecret",
		"WECHAT_API_BASE=http://127.0.0.1:8089 LOGIN_RATE_LIMIT=0 UPDATE_RATE_LIMIT=0 LOG_LEVEL=warn bin/wxlogin",
		"go run ./cmd/wxload -server http://127.0.0.1:8080 -wechat http://127.0.0.1:8089 -internal http://127.0.0.1:9090 \\",
		"WECHAT_APPID=wx0123456789abcdef WECHAT_SECRET=your-appsecret bin/wxsim",
		"WECHAT_API_BASE=http://127.0.0.1:8089 bin/wxlogin",
		"SIM=http://127.0.0.1:8089 API=http://127.0.0.1:8080",
		// admin_account_test.go runs the script.
		"MYSQL_DATABASE=wxlogin ADMIN_RO_PASSWORD=choose-one bash deploy/mysql/20-admin-account.sh -h 127.0.0.1 -u root -p",
	}
	if !slices.Equal(first, want) {
		t.Errorf("README's commands are %q", first)
	}
}

// needs skips a test on a machine that lacks a program.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("NOTICE: %s is not on this machine, so this was not run", p)
		}
	}
}

var readmeDSN = regexp.MustCompile(`MYSQL_DSN='[^']*'`)

// Building, migrating and serving as README says, but for the addresses.
func TestReadme_server_runs(t *testing.T) {
	needs(t, "sh")
	text := script(t, "go build -o bin/")
	text = strings.ReplaceAll(text, "bin/", t.TempDir()+"/")
	text = strings.Replace(text, "\ngo build", "\nexport REDIS_URL="+testenv.NewRedis(t).URL+" LISTEN_ADDR=127.0.0.1:0 INTERNAL_ADDR=127.0.0.1:0\ngo build", 1)
	text = readmeDSN.ReplaceAllLiteralString(text, "MYSQL_DSN='"+mysqltest.New(t)+"'")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines[len(lines)-1] = "exec " + lines[len(lines)-1] // so that the signal reaches the server

	cmd := exec.Command("sh", "-ec", strings.Join(lines, "\n"))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	serving := false
	for s := bufio.NewScanner(stderr); s.Scan(); {
		if strings.Contains(s.Text(), `"msg":"serving"`) {
			serving = true
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if err := cmd.Wait(); err != nil || !serving {
		t.Errorf("served %v, ended with %v", serving, err)
	}
}

// stack is a simulator and a server on loopback, as README's commands expect them but for the addresses.
func stack(t *testing.T) (addresses *strings.Replacer) {
	t.Helper()
	s := servertest.Start(t)
	return strings.NewReplacer("http://127.0.0.1:8089", s.WeChat, "http://127.0.0.1:8080", s.Public(),
		"http://127.0.0.1:9090", s.Internal())
}

// Playing the phone by curl as README says, and asking whose token that is, but for the addresses.
func TestReadme_phone_by_curl(t *testing.T) {
	needs(t, "sh", "curl", "sed")
	text := "INTERNAL_API_KEY=" + servertest.APIKey + "\n" + stack(t).Replace(script(t, "/sim/login")+script(t, "/introspect"))
	out, err := exec.Command("sh", "-ec", text).Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(bytes.NewReader(out))
	var answer struct {
		Status   int
		UserInfo struct{ NickName string }
	}
	if err := answers.Decode(&answer); err != nil || answer.Status != 200 || answer.UserInfo.NickName != "bob" {
		t.Errorf("status %d, nickName %q, %v", answer.Status, answer.UserInfo.NickName, err)
	}
	var owner struct {
		Active   bool
		ClientID string `json:"client_id"`
	}
	if err := answers.Decode(&owner); err != nil || !owner.Active || owner.ClientID != servertest.AppID {
		t.Errorf("active %v in %q, %v", owner.Active, owner.ClientID, err)
	}
}

// The load of README's figures, for a moment and of fewer users.
func TestReadme_load(t *testing.T) {
	needs(t, "sh")
	text := "export INTERNAL_API_KEY=" + servertest.APIKey + "\n" + strings.TrimSpace(stack(t).Replace(script(t, "./cmd/wxload"))) +
		" -phones 4 -users 16 -duration 500ms -progress 0s"
	out, err := exec.Command("sh", "-ec", text).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 errors (0.000%), 0 wrong answers") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// Each query for admins finds whom it should among four users.
func TestReadme_queries(t *testing.T) {
	dsn := mysqltest.NewWithSchema(t)
	seed(t, dsn)
	merge(t, dsn)
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	want := []struct {
		column string
		values []string
	}{
		{"nickname", []string{"", "carol", "alice", "dave"}}, // newest first
		{"sign_ups", []string{"2", "1"}},                     // today, three days ago
		{"completed", []string{"1", "1"}},
		{"nickname", []string{"alice"}},
		{"nickname", []string{"alice"}},
		{"nickname", []string{"dave"}},
		{"nickname", []string{"alice"}}, // in two mini-programs,
		{"nickname", []string{"alice"}}, // after a merge
		{"people", []string{"3", "1"}},  // no, yes
		{"identities", []string{"wx1:oNew"}},
	}
	queries := blocks(t, english, "sql")
	if len(queries) != len(want) {
		t.Fatalf("%d queries, want %d", len(queries), len(want))
	}
	for i, q := range queries {
		if got := column(t, db, q.text, want[i].column); !slices.Equal(got, want[i].values) {
			t.Errorf("%s%v, want %v", q.text, got, want[i].values)
		}
	}
}

// README shows some of the queries that docs/admin-queries.sql explains.
func TestReadme_queries_are_those_of_the_documentation(t *testing.T) {
	all := queriesOf(t, adminQueries)
	for _, b := range blocks(t, english, "sql") {
		if !slices.ContainsFunc(all, func(q adminQuery) bool { return q.sql == b.text }) {
			t.Errorf("%s lacks %s", adminQueries, b.text)
		}
	}
}

// seed makes four users: dave, long gone; alice, three days old; carol and a nameless one of today.
func seed(t *testing.T, dsn string) {
	t.Helper()
	now := time.Now()
	for _, u := range []struct {
		openID, nickname string
		age              time.Duration
	}{
		{"oDave", "dave", 60 * 24 * time.Hour},
		{"oGZUI0egBJY1zhBYw2KhdUfwVJJE", "alice", 3 * 24 * time.Hour},
		{"oCarol", "carol", 0},
		{"oNew", "", 0},
	} {
		then := func() time.Time { return now.Add(-u.age) }
		db, err := store.Open(dsn, store.Options{Now: then})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, _, err := db.Users().Login(t.Context(), store.Identity{AppID: "wx1", OpenID: u.openID}); err != nil {
			t.Fatal(err)
		}
		if u.nickname == "" {
			continue
		}
		p := store.Profile{NickName: u.nickname, AvatarURL: "https://thirdwx.qlogo.cn/" + u.nickname, AsOf: then()}
		if _, _, err := db.Users().UpdateProfile(t.Context(), "wx1", u.openID, p); err != nil {
			t.Fatal(err)
		}
	}
}

// merge makes alice a user in a second mini-program, whom her unionid then shows to be the same person, and gives carol a
// phone number.
func merge(t *testing.T, dsn string) {
	t.Helper()
	threeDaysAgo := time.Now().Add(-3 * 24 * time.Hour)
	db, err := store.Open(dsn, store.Options{Now: func() time.Time { return threeDaysAgo }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, id := range []store.Identity{
		{AppID: "wx2", OpenID: "oAliceIn2", UnionID: "uAlice"},
		{AppID: "wx1", OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE", UnionID: "uAlice"},
	} {
		if _, _, err := db.Users().Login(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	phone := store.Phone{CountryCode: "86", Number: "13800000001"}
	if _, err := db.Users().BindPhone(t.Context(), "wx1", "oCarol", phone); err != nil {
		t.Fatal(err)
	}
}

// column runs a query and returns one of its columns.
func column(t *testing.T, db *sql.DB, query, name string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s%v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.Index(columns, name)
	if i < 0 {
		t.Fatalf("%sit has no column %s", query, name)
	}
	var values []string
	for rows.Next() {
		row := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for j := range row {
			targets[j] = &row[j]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		values = append(values, row[i].String)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// Every variable of the configuration is in README's table with its default, and no other one.
func TestReadme_configuration(t *testing.T) {
	rows := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\| (\\S+) \\|").FindAllStringSubmatch(read(t, english), -1) {
		rows[m[1]] = strings.Trim(m[2], "`")
	}
	known := make(map[string]string)
	variables(reflect.TypeFor[config.Config](), known)
	if !reflect.DeepEqual(rows, known) {
		t.Errorf("README says %v\nthe server knows %v", rows, known)
	}
}

// variables finds the environment variables of a configuration, with their defaults.
func variables(t reflect.Type, known map[string]string) {
	for f := range t.Fields() {
		if f.Type.Kind() == reflect.Struct {
			variables(f.Type, known)
		}
		name, required, _ := strings.Cut(f.Tag.Get("env"), ",")
		if name == "" {
			continue
		}
		known[name] = cmp.Or(f.Tag.Get("envDefault"), "none")
		if required != "" {
			known[name] = "required"
		}
	}
}

// Every test that SECURITY.md names is there.
func TestSecurity_names_tests_that_exist(t *testing.T) {
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)(?:/(\\w+))?`").FindAllStringSubmatch(read(t, "SECURITY.md"), -1)
	if len(names) < 20 {
		t.Fatalf("SECURITY.md names %d tests", len(names))
	}
	defined := goList(t, "-f", `{{$d := .Dir}}{{range .TestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`, "./...")
	var code strings.Builder
	for file := range strings.Lines(defined) {
		code.WriteString(read(t, strings.TrimSuffix(file, "\n")))
	}
	for _, name := range names {
		if !strings.Contains(code.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("SECURITY.md names %s, which does not exist", name[1])
		}
		sub := strings.ReplaceAll(name[2], "_", " ") // as go test writes the space of a sub-test's name
		if sub != "" && !strings.Contains(code.String(), `"`+name[2]+`"`) && !strings.Contains(code.String(), `"`+sub+`"`) {
			t.Errorf("SECURITY.md names %s/%s, which does not exist", name[1], name[2])
		}
	}
}
