package wxlogin_test

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv"
)

// README's commands, literally but for addresses and names, lead from an empty MySQL and Redis to a login: database and accounts,
// build, migrate, simulator, server, phone.
func TestReadme_leads_from_nothing_to_a_login(t *testing.T) {
	admin := os.Getenv("TEST_MYSQL_DSN")
	if admin == "" {
		t.Skip("NOTICE: TEST_MYSQL_DSN is not set, so README's accounts were not made")
	}
	needs(t, "bash", "curl", "sed", "mysql")
	sim, public, internal := testenv.FreeAddr(t), testenv.FreeAddr(t), testenv.FreeAddr(t)
	name, owner := newAccounts(t, admin)
	addresses := strings.NewReplacer(
		"mysql -h 127.0.0.1 -u root -p", owner.client,
		"@tcp(127.0.0.1:3306)", "@tcp("+owner.addr+")", "redis://127.0.0.1:6379/0", testenv.NewRedis(t).URL,
		"127.0.0.1:8089", sim, "127.0.0.1:8080", public, "bin/", t.TempDir()+"/",
		"wxlogin_migrate", name+"_m", "wxlogin@", name+"@", "wxlogin.*", name+".*", "wxlogin:", name+":",
		"/wxlogin'", "/"+name+"'", "DATABASE wxlogin", "DATABASE "+name,
	)
	build := strings.TrimSuffix(script(t, "go build -o bin/"), "bin/wxlogin\n") // the server is started further down
	text := strings.Join([]string{
		"trap 'kill $(jobs -p) 2>/dev/null' EXIT",
		"export LISTEN_ADDR=" + public + " INTERNAL_ADDR=" + internal,
		addresses.Replace(script(t, "CREATE DATABASE") + build),
		background(addresses.Replace(strings.Replace(script(t, "bin/wxsim\n"), "bin/wxsim\n", "bin/wxsim -addr 127.0.0.1:8089\n", 1))),
		background(addresses.Replace(script(t, "WECHAT_API_BASE=http://127.0.0.1:8089 bin/wxlogin\n"))),
		"for i in $(seq 100); do curl -fs http://" + internal + "/readyz >/dev/null && break; sleep 0.1; done",
		addresses.Replace(script(t, "/sim/login")),
	}, "\n")
	out, err := exec.Command("bash", "-ec", text).Output()
	if err != nil {
		t.Fatalf("%v:\n%s", err, stderrOf(err))
	}
	_, answer, _ := strings.Cut(string(out), "database migrated from version ")
	_, answer, _ = strings.Cut(answer, "\n")
	var update struct {
		Status   int
		UserInfo struct{ NickName string }
	}
	i := strings.LastIndex(answer, `{"status"`)
	if i < 0 || json.Unmarshal([]byte(answer[i:]), &update) != nil || update.Status != 200 || update.UserInfo.NickName != "bob" {
		t.Errorf("the phone got no profile; the commands said:\n%s", out)
	}
}

// Commands that fail say so, and the ones after them do not run.
func TestReadme_commands_do_not_fail_in_silence(t *testing.T) {
	needs(t, "bash", "curl", "sed")
	phone := strings.NewReplacer("127.0.0.1:8089", testenv.FreeAddr(t), "127.0.0.1:8080", testenv.FreeAddr(t)).Replace(script(t, "/sim/login"))
	_, err := exec.Command("bash", "-c", phone).Output() // without -e, as somebody pastes it
	if err == nil || strings.Count(stderrOf(err), "curl: ") != 1 {
		t.Errorf("without a simulator: %v, it says:\n%s", err, stderrOf(err))
	}
	for _, file := range []string{english, chinese} {
		for _, b := range blocks(t, file, "sh") {
			if strings.Contains(b.text, "curl -s ") {
				t.Errorf("%s has a curl that hides errors:\n%s", file, b.text)
			}
		}
	}
}

// background makes a script of one command run beside what follows.
func background(script string) string { return strings.TrimSpace(script) + " >&2 &" }

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

// mysqlServer is how README's root reaches a test's MySQL.
type mysqlServer struct{ client, addr string }

// newAccounts chooses a name for README's database and accounts that no other test has, and removes them in the end.
func newAccounts(t *testing.T, admin string) (name string, server mysqlServer) {
	t.Helper()
	config, err := mysql.ParseDSN(admin)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(config.Addr)
	if err != nil {
		t.Fatal(err)
	}
	options := filepath.Join(t.TempDir(), "my.cnf")
	if err := os.WriteFile(options, []byte("[client]\nhost="+host+"\nport="+port+"\nprotocol=tcp\nuser="+config.User+
		"\npassword=\""+config.Passwd+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := "mysql --defaults-file=" + options
	_, port, _ = net.SplitHostPort(testenv.FreeAddr(t))
	name = "wxreadme" + port
	t.Cleanup(func() {
		drop := "DROP DATABASE IF EXISTS " + name + "; DROP USER IF EXISTS " + name + "@'%', " + name + "_m@'%';"
		if out, err := exec.Command("sh", "-c", client+` -e "$0"`, drop).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return name, mysqlServer{client, config.Addr}
}
