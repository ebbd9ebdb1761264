package wxlogin_test

import (
	"cmp"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/config"
)

const (
	english       = "README.md"
	migrate       = "docs/migrate.md"
	clients       = "docs/clients.md"
	clientsZh     = "docs/clients.zh-CN.md"
	chinese       = "README.zh-CN.md"
	api           = "docs/api.md"
	configuration = "docs/configuration.md"
	operations    = "docs/operations.md"
	simulator     = "docs/simulator.md"
	verifyTokens  = "docs/verify-tokens.md"
)

// documents returns every Markdown file of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy/*/*.md", "examples/*/*.md", "client/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 15 {
		t.Fatalf("%d documents", len(files))
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// block is a fenced block of a document.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// blocks returns a document's blocks in these languages, in order.
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

// blockWith returns the first block of a document that contains a text.
func blockWith(t *testing.T, file, language, text string) string {
	t.Helper()
	for _, b := range blocks(t, file, language) {
		if strings.Contains(b.text, text) {
			return b.text
		}
	}
	t.Fatalf("%s has no block with %q", file, text)
	return ""
}

func TestDocuments_Links(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):]+)\)`)
	for _, file := range documents(t) {
		for _, l := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, file), ""), -1) {
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

// anchors returns the names by which a document's headings are linked: in lower case, with - for spaces, without other
// signs.
func anchors(t *testing.T, file string) (anchors []string) {
	t.Helper()
	sign := regexp.MustCompile(`[^\pL\pN _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(fence.ReplaceAllString(read(t, file), ""), -1) {
		anchors = append(anchors, strings.ReplaceAll(strings.ToLower(sign.ReplaceAllString(m[1], "")), " ", "-"))
	}
	return anchors
}

// Both languages show the same commands and code, so that those of the Chinese documents are tested too.
func TestDocuments_Languages(t *testing.T) {
	shown := []string{"sh", "console", "js", "sql"}
	if en, zh := blocks(t, english, shown...), blocks(t, chinese, shown...); len(en) < 7 || !slices.Equal(en, zh) {
		t.Errorf("%s and %s show different blocks (%d and %d)", english, chinese, len(en), len(zh))
	}
	for en, zh := range map[string]string{
		english: chinese, "docs/faq.md": "docs/faq.zh-CN.md", "docs/personal-data.md": "docs/personal-data.zh-CN.md",
		migrate: "docs/migrate.zh-CN.md", clients: clientsZh,
	} {
		if en, zh := anchors(t, en), anchors(t, zh); len(en) != len(zh) {
			t.Errorf("%d and %d headings:\n%q\n%q", len(en), len(zh), en, zh)
		}
	}
}

// The code that documents show is code that other tests run: in Node against the server, and with nginx.
func TestDocuments_CodeIsTested(t *testing.T) {
	between := func(file, begin, end string) string {
		_, part, _ := strings.Cut(read(t, file), begin)
		part, _, _ = strings.Cut(part, end)
		return part
	}
	nginx := between("examples/gateway/nginx/nginx.conf", "# readme:begin\n", "        # readme:end")
	for _, test := range []struct{ document, language, code string }{
		{english, "js", "// app.js\n" + read(t, "examples/test/quickstart/app.js") +
			"\n// pages/me/me.js\n" + read(t, "examples/test/quickstart/me.js")},
		{api, "js", between("examples/test/classic.js", "// readme:begin\n", "// readme:end")},
		{verifyTokens, "nginx", strings.TrimPrefix(strings.ReplaceAll("\n"+nginx, "\n        ", "\n"), "\n")},
	} {
		if got := blocks(t, test.document, test.language); !slices.Equal(got, []block{{test.language, test.code}}) {
			t.Errorf("%s shows other %s code than the tested one", test.document, test.language)
		}
	}
}

// Every recipe of the client is a file that examples/test runs, or whose types it checks. In Chinese only the comments differ.
func TestDocuments_Recipes(t *testing.T) {
	comment := regexp.MustCompile(`(?m)(^|[ \t]+)(//|/\*\*|<!--).*$`)
	files := []string{"plain/app.js", "plain/orders.js", "orders.ts", "uni-app/App.vue", "uni-app/me.vue", "taro/app.ts", "taro/me.tsx",
		"uni-request.js", "luch-request.js", "socket.js", "game.js", "pay.js"}
	shown := []string{"js", "ts", "tsx", "vue"}
	en, zh := blocks(t, clients, shown...), blocks(t, clientsZh, shown...)
	if len(en) != len(files) || len(zh) != len(files) {
		t.Fatalf("%d and %d recipes, want %d", len(en), len(zh), len(files))
	}
	for i, file := range files {
		code := read(t, "examples/test/recipes/"+file)
		if en[i].text != code {
			t.Errorf("%s shows other code than %s", clients, file)
		}
		if comment.ReplaceAllString(zh[i].text, "") != comment.ReplaceAllString(code, "") {
			t.Errorf("%s shows other code than %s", clientsZh, file)
		}
	}
}

// The client's pages have every function of its source, and a row for each option, each code and each field of a Problem.
func TestDocuments_Client(t *testing.T) {
	const src = "client/miniprogram/src/"
	sources, err := filepath.Glob(src + "*.js")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no source (%v)", err)
	}
	found := func(pattern, text string) (names []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	var code strings.Builder
	for _, file := range sources {
		code.WriteString(read(t, file))
	}
	exports := strings.Join(found(`export \{ (.*) \}`, read(t, src+"index.js")), ", ")
	rows := slices.Concat(found(`@property \{.*\} (\w+)`, read(t, src+"options.js")), found(`code: '(\w+)'`, code.String()),
		found(`this\.(\w+) = [a-z]`, read(t, src+"problem.js")))
	slices.Sort(rows)
	for _, page := range []string{clients, clientsZh} {
		text := read(t, page)
		for name := range strings.SplitSeq(exports, ", ") {
			if !regexp.MustCompile("`" + name + "[(`]").MatchString(text) {
				t.Errorf("%s does not have %s", page, name)
			}
		}
		if got := found("(?m)^\\| `(\\w+)` ", text); !slices.Equal(got, rows) {
			t.Errorf("%s has the options, fields and codes\n%q, the source\n%q", page, got, rows)
		}
	}
}

// Each command in these documents is run somewhere. A new one must be added here together with what runs it.
func TestDocuments_CommandsAreKnown(t *testing.T) {
	for file, want := range map[string][]string{
		english: {
			"go run ./cmd/demo",         // .ci/run demo, with -once
			"$ go run ./cmd/demo -once", // TestReadme_Transcript
			"go test ./...",             // .ci/run test
			"docker compose up --build", // .ci/run compose has Docker's own code read the file
			"export WECHAT_APPID=wx0123456789abcdef WECHAT_SECRET=your-appsecret", // TestReadme_Run, TestReadme_FromNothingToALogin
		},
		configuration: {
			"mysql -h 127.0.0.1 -u root -p <<'SQL'", // TestReadme_FromNothingToALogin
			"MYSQL_DATABASE=wxlogin ADMIN_RO_PASSWORD=choose-one bash deploy/mysql/20-admin-account.sh -h 127.0.0.1 -u root -p", // TestAdminAccount
		},
		simulator: { // TestReadme_FromNothingToALogin
			"WECHAT_APPID=wx0123456789abcdef WECHAT_SECRET=your-appsecret bin/wxsim",
			"WECHAT_API_BASE=http://127.0.0.1:8089 bin/wxlogin",
			"SIM=http://127.0.0.1:8089 API=http://127.0.0.1:8080",
		},
		verifyTokens: { // TestReadme_PhoneByCurl
			`curl -fsS http://127.0.0.1:9090/introspect -H "X-Api-Key: $INTERNAL_API_KEY" --data-urlencode "token=$TOKEN"`,
			`curl -fsS http://127.0.0.1:9090/sign -H "X-Api-Key: $INTERNAL_API_KEY" --data-urlencode "token=$TOKEN" --data-urlencode 'data={"env":0}'`,
		},
		migrate: {"wxlogin import -file users.csv -appid wx0123456789abcdef -dry-run"}, // TestImport_Documented
		operations: {
			"bash .ci/scale",                         // .ci/run scale
			"go run ./cmd/wxtest faults",             // .ci/run faults
			"wxlogin sweep -dry-run",                 // cmd/wxlogin's tests
			"wxlogin user find -nickname 小明",         // TestUser_Documented
			"wxlogin revoke -file list.csv -dry-run", // TestRevoke_Documented
			"WECHAT_API_BASE=http://127.0.0.1:8089 LOGIN_RATE_LIMIT=0 UPDATE_RATE_LIMIT=0 LOG_LEVEL=warn bin/wxlogin",                            // TestDocuments_Variables
			"go run ./cmd/wxtest load -server http://127.0.0.1:8080 -wechat http://127.0.0.1:8089 -internal http://127.0.0.1:9090 -duration 30s", // cmd/wxtest's tests
			"$ TEST_REDIS_URL=redis://127.0.0.1:6379/0 BENCH_SESSIONS=1000,1000000 go test -run '^$' -bench Lookup_among ./session",              // .ci/run bench, with fewer sessions
		},
		api: nil,
	} {
		var got []string
		for _, b := range blocks(t, file, "sh", "console") {
			line, _, _ := strings.Cut(b.text, "\n")
			got = append(got, line)
			if strings.Contains(b.text, "curl -s ") {
				t.Errorf("%s has a curl that hides errors:\n%s", file, b.text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the commands\n%q, want\n%q", file, got, want)
		}
	}
}

// Every variable of the configuration is documented with its default, and no other one.
func TestDocuments_Configuration(t *testing.T) {
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\| (\\S+) \\|").FindAllStringSubmatch(read(t, configuration), -1) {
		documented[m[1]] = strings.Trim(m[2], "`")
	}
	known := make(map[string]string)
	variables(reflect.TypeFor[config.Config](), known)
	if !reflect.DeepEqual(documented, known) {
		t.Errorf("%s says %v\nthe server knows %v", configuration, documented, known)
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

// Documents name no variable that looks like one of the server's and is none.
func TestDocuments_Variables(t *testing.T) {
	word := regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
	others := []string{"MAX_USER_CONNECTIONS", "MAX_STATEMENT_TIME"} // of MySQL and MariaDB
	for _, file := range documents(t) {
		var environ []string
		for _, name := range word.FindAllString(read(t, file), -1) {
			if !slices.Contains(others, name) {
				environ = append(environ, name+"=x")
			}
		}
		for _, unknown := range config.UnknownVariables(environ) {
			t.Errorf("%s: %s", file, unknown)
		}
	}
}

// Every test that SECURITY.md names exists.
func TestDocuments_SecurityTests(t *testing.T) {
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)(?:/(\\w+))?`").FindAllStringSubmatch(read(t, "SECURITY.md"), -1)
	if len(names) < 20 {
		t.Fatalf("SECURITY.md names %d tests", len(names))
	}
	files := goList(t, "-f", `{{$d := .Dir}}{{range .TestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`, "./...")
	var code strings.Builder
	for file := range strings.Lines(files) {
		code.WriteString(read(t, strings.TrimSuffix(file, "\n")))
	}
	for _, name := range names {
		if !strings.Contains(code.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("SECURITY.md names %s, which does not exist", name[1])
		}
		sub := strings.ReplaceAll(name[2], "_", " ") // as go test writes the spaces of a subtest's name
		if sub != "" && !strings.Contains(code.String(), `"`+name[2]+`"`) && !strings.Contains(code.String(), `"`+sub+`"`) {
			t.Errorf("SECURITY.md names %s/%s, which does not exist", name[1], name[2])
		}
	}
}
