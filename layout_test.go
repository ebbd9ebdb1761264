package wxlogin_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module = "wxlogin"
	wxtest = module + "/cmd/wxtest"
)

// ours lists what a package may import of this module. A package that is not listed may import everything but commands.
var ours = map[string][]string{
	module:                        {},
	module + "/client":            {},
	module + "/session":           {},
	module + "/store":             {module + "/internal/batch"},
	module + "/wechat":            {},
	module + "/wechat/wechattest": {module + "/wechat"},
	module + "/wechat/push":       {},
	module + "/handlers": {module + "/internal/avatar", module + "/internal/clientip", module + "/internal/profile",
		module + "/internal/ratelimit", module + "/internal/request", module + "/session", module + "/store", module + "/wechat",
		module + "/wechat/accesstoken", module + "/wechat/push"},
	module + "/internal/server": {module + "/handlers", module + "/internal/avatar", module + "/internal/clientip", module + "/internal/config",
		module + "/internal/erasure", module + "/internal/ratelimit", module + "/internal/redisclient", module + "/internal/tracing",
		module + "/session", module + "/store", module + "/wechat", module + "/wechat/accesstoken", module + "/wechat/push",
		module + "/internal/csvlist", module + "/internal/revocation", module + "/internal/terminal", module + "/internal/userlist"},
	module + "/internal/config": {module + "/internal/clientip", module + "/internal/redisclient", module + "/store",
		module + "/wechat/push"},
	module + "/internal/erasure":                        {module + "/internal/avatar", module + "/store"},
	module + "/internal/redisclient":                    {},
	module + "/internal/batch":                          {},
	module + "/internal/clientip":                       {},
	module + "/internal/ratelimit":                      {},
	module + "/internal/tracing":                        {},
	module + "/internal/avatar":                         {},
	module + "/wechat/accesstoken":                      {module + "/wechat"},
	module + "/internal/demopage":                       {module + "/session", module + "/wechat/wechattest"},
	module + "/internal/embedded":                       {},
	module + "/internal/request":                        {module + "/session"},
	module + "/internal/probe":                          {},
	module + "/internal/csvlist":                        {},
	module + "/internal/revocation":                     {module + "/internal/csvlist", module + "/wechat/push"},
	module + "/internal/userlist":                       {module + "/internal/csvlist", module + "/internal/profile", module + "/store", module + "/wechat"},
	module + "/internal/terminal":                       {},
	module + "/internal/profile":                        {},
	module + "/internal/testenv":                        {},
	module + "/internal/testenv/redistest":              {module + "/internal/testenv"},
	module + "/internal/testenv/redistest/rediscluster": {module + "/internal/testenv/redistest"},
	module + "/internal/testenv/servertest": {module + "/internal/config", module + "/internal/server",
		module + "/internal/testenv/mysqltest", module + "/internal/testenv/redistest", module + "/wechat/wechattest"},
	module + "/internal/testenv/servicetest": {module + "/internal/config", module + "/internal/testenv",
		module + "/internal/testenv/servertest", module + "/wechat/wechattest"},
	module + "/internal/testenv/mysqltest": {module, module + "/internal/embedded", module + "/internal/testenv", module + "/store"},
	module + "/examples":                   {},
	module + "/cmd/wxlogin": {module + "/internal/config", module + "/internal/probe", module + "/internal/redisclient",
		module + "/internal/server", module + "/internal/tracing"},
	wxtest:                       {wxtest + "/internal/bench", wxtest + "/internal/cli", wxtest + "/internal/faults", wxtest + "/internal/load"},
	wxtest + "/baseline":         {},
	wxtest + "/internal/cli":     {},
	wxtest + "/internal/player":  {},
	wxtest + "/internal/process": {wxtest + "/internal/cli"},
	wxtest + "/internal/report":  {wxtest + "/internal/cli"},
	wxtest + "/internal/load":    {wxtest + "/internal/cli", wxtest + "/internal/player", wxtest + "/internal/process", wxtest + "/internal/report"},
	wxtest + "/internal/faults":  {wxtest + "/internal/cli", wxtest + "/internal/player", wxtest + "/internal/process", wxtest + "/internal/report"},
	wxtest + "/internal/bench": {wxtest + "/internal/cli", wxtest + "/internal/process", wxtest + "/internal/report", module + "/session",
		module + "/wechat/wechattest"},
	module + "/cmd/wxsim": {module + "/internal/probe", module + "/wechat/wechattest"},
}

// foreign lists what a package may not import of other modules and of the standard library.
var foreign = map[string][]string{
	module + "/handlers":             {"gorm.io/", "github.com/redis/", "github.com/go-sql-driver/", "database/sql"},
	module + "/cmd/wxlogin":          {"gorm.io/", "github.com/redis/", "database/sql"},
	module + "/store":                {"github.com/redis/", "net/http", "github.com/go-chi/"},
	module + "/client":               {"github.com/", "gorm.io/", "golang.org/", "go.", "database/sql"},
	module + "/session":              {"gorm.io/", "github.com/go-chi/", "database/sql"},
	module + "/wechat":               {"gorm.io/", "github.com/", "database/sql"},
	module + "/wechat/accesstoken":   {"github.com/go-chi/", "gorm.io/", "net/http", "database/sql"},
	module + "/wechat/push":          {"github.com/", "gorm.io/", "net/http", "database/sql"},
	module + "/internal/erasure":     {"github.com/", "gorm.io/", "net/http", "database/sql"},
	module + "/internal/config":      {"gorm.io/", "github.com/go-chi/", "github.com/redis/", "database/sql"},
	module + "/internal/redisclient": {"gorm.io/", "github.com/go-chi/", "net/http", "database/sql"},
	module + "/internal/batch":       {"github.com/", "gorm.io/", "net/http", "database/sql"},
	module + "/internal/clientip":    {"github.com/", "gorm.io/", "database/sql"},
	module + "/internal/server":      {"gorm.io/", "github.com/go-chi/chi/"},
	module + "/internal/ratelimit":   {"gorm.io/", "net/http", "database/sql"},
	module + "/internal/request":     {"github.com/", "gorm.io/", "database/sql"},
	module + "/internal/profile":     {"gorm.io/", "net/http", "database/sql"},
}

// imports returns what each package of the module imports outside of its tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	packages := make(map[string][]string)
	for line := range strings.Lines(goList(t, "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")) {
		fields := strings.Fields(line)
		packages[fields[0]] = fields[1:]
	}
	return packages
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return string(out)
}

func isOurs(path string) bool { return inside(path, module) }

// inside reports whether a package is another one, or below it.
func inside(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

func TestLayout_Imports(t *testing.T) {
	packages := imports(t)
	for name := range ours {
		if packages[name] == nil && name != module {
			t.Errorf("there is no package %s", name)
		}
	}
	for name, imported := range packages {
		allowed, listed := ours[name]
		for _, path := range imported {
			if isOurs(path) && listed && !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", name, path)
			}
			if strings.HasPrefix(path, module+"/cmd/") && !(inside(name, wxtest) && inside(path, wxtest+"/internal")) {
				t.Errorf("%s imports the command %s", name, path)
			}
			for _, prefix := range foreign[name] {
				if strings.HasPrefix(path, prefix) {
					t.Errorf("%s imports %s", name, path)
				}
			}
		}
	}
}

// The embedded engines and the simulator are for tests and the demo. The server must not contain them.
func TestLayout_ServerDependencies(t *testing.T) {
	deps := goList(t, "-deps", "./cmd/wxlogin")
	if !strings.Contains(deps, module+"/handlers\n") {
		t.Fatal("go list does not list the server's packages")
	}
	for _, unwanted := range []string{
		"dolthub", "miniredis", "gopher-lua", module + "/wechat/wechattest", module + "/internal/embedded", module + "/internal/testenv",
		"testing\n", "net/http/httptest\n", "kin-openapi",
	} {
		if strings.Contains(deps, unwanted) {
			t.Errorf("cmd/wxlogin links %s", strings.TrimSpace(unwanted))
		}
	}
}
