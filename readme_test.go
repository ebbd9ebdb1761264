package wxlogin_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/internal/testenv/servertest"
)

// needs skips a test on a machine without one of these programs.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("NOTICE: %s is not on this machine, so this was not run", p)
		}
	}
}

// newRedisURL returns the URL of an empty Redis for programs that the test starts.
func newRedisURL(t *testing.T) string {
	t.Helper()
	return redistest.NewServer(t).URL
}

// Every line of the transcript is one that the demo prints, in this order.
func TestReadme_Transcript(t *testing.T) {
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
	random := regexp.MustCompile(`[^\s=]{1,7}…\(`) // the beginning of a value and its length
	actual := strings.Split(random.ReplaceAllString(string(out), "…("), "\n")
	for line := range strings.Lines(transcript) {
		want := strings.TrimSuffix(random.ReplaceAllString(line, "…("), "\n")
		i := slices.Index(actual, want)
		if i < 0 {
			t.Fatalf("the demo does not print this, or not in this order: %s", want)
		}
		actual = actual[i+1:]
	}
}

// Build, migrate and serve, with other addresses and databases.
func TestReadme_Run(t *testing.T) {
	needs(t, "sh")
	text := blockWith(t, english, "sh", "go build -o bin/")
	text = strings.ReplaceAll(text, "bin/", t.TempDir()+"/")
	text = strings.Replace(text, "\ngo build",
		"\nexport REDIS_URL="+newRedisURL(t)+" LISTEN_ADDR=127.0.0.1:0 INTERNAL_ADDR=127.0.0.1:0\ngo build", 1)
	text = regexp.MustCompile(`MYSQL_DSN='[^']*'`).ReplaceAllLiteralString(text, "MYSQL_DSN='"+mysqltest.New(t)+"'")
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

// The phone of docs/simulator.md, and the check of its token and the signature of docs/verify-tokens.md, with other addresses.
func TestReadme_PhoneByCurl(t *testing.T) {
	needs(t, "sh", "curl", "sed")
	s := servertest.Start(t)
	addresses := strings.NewReplacer("http://127.0.0.1:8089", s.WeChat, "http://127.0.0.1:8080", s.Public(),
		"http://127.0.0.1:9090", s.Internal())
	text := "INTERNAL_API_KEY=" + servertest.APIKey + "\n" +
		addresses.Replace(blockWith(t, simulator, "sh", "/sim/login")+blockWith(t, verifyTokens, "sh", "/introspect")+
			blockWith(t, verifyTokens, "sh", "/sign"))
	out, err := exec.Command("sh", "-ec", text).Output()
	if err != nil {
		t.Fatal(err)
	}
	responses := json.NewDecoder(bytes.NewReader(out))
	var update struct {
		Status   int
		UserInfo struct{ NickName string }
	}
	if err := responses.Decode(&update); err != nil || update.Status != 200 || update.UserInfo.NickName != "bob" {
		t.Errorf("status %d, nickName %q, %v", update.Status, update.UserInfo.NickName, err)
	}
	var owner struct {
		Active   bool
		ClientID string `json:"client_id"`
	}
	if err := responses.Decode(&owner); err != nil || !owner.Active || owner.ClientID != servertest.AppID {
		t.Errorf("active %v in %q, %v", owner.Active, owner.ClientID, err)
	}
	var signed struct {
		Status    int
		Signature string
	}
	if err := responses.Decode(&signed); err != nil || signed.Status != 200 || len(signed.Signature) != 64 {
		t.Errorf("status %d, a signature of %d characters, %v", signed.Status, len(signed.Signature), err)
	}
}

// If a command fails, it prints why, and the commands after it do not run, even in a shell without -e.
func TestReadme_PhoneByCurl_Fails(t *testing.T) {
	needs(t, "bash", "curl", "sed")
	phone := strings.NewReplacer("127.0.0.1:8089", testenv.FreeAddr(t), "127.0.0.1:8080", testenv.FreeAddr(t)).
		Replace(blockWith(t, simulator, "sh", "/sim/login"))
	_, err := exec.Command("bash", "-c", phone).Output()
	if err == nil || strings.Count(stderrOf(err), "curl: ") != 1 {
		t.Errorf("without a simulator: %v, it prints:\n%s", err, stderrOf(err))
	}
}

// The documented commands, with other addresses and names, lead from an empty MySQL and Redis to a login: database and
// accounts, build, migrate, simulator, server, phone.
func TestReadme_FromNothingToALogin(t *testing.T) {
	admin := os.Getenv("TEST_MYSQL_DSN")
	if admin == "" {
		t.Skip("NOTICE: TEST_MYSQL_DSN is not set, so the documented accounts were not created")
	}
	needs(t, "bash", "curl", "sed", "mysql")
	sim, public, internal := testenv.FreeAddr(t), testenv.FreeAddr(t), testenv.FreeAddr(t)
	name, owner := newAccounts(t, admin)
	addresses := strings.NewReplacer(
		"mysql -h 127.0.0.1 -u root -p", owner.client,
		"@tcp(127.0.0.1:3306)", "@tcp("+owner.addr+")", "redis://127.0.0.1:6379/0", newRedisURL(t),
		"127.0.0.1:8089", sim, "127.0.0.1:8080", public, "bin/", t.TempDir()+"/",
		"wxlogin_migrate", name+"_m", "wxlogin@", name+"@", "wxlogin.*", name+".*", "wxlogin:", name+":",
		"/wxlogin'", "/"+name+"'", "DATABASE wxlogin", "DATABASE "+name,
	)
	accounts := blockWith(t, configuration, "sh", "CREATE DATABASE")
	build := strings.TrimSuffix(blockWith(t, english, "sh", "go build -o bin/"), "bin/wxlogin\n") // the server starts below
	wxsim := strings.Replace(blockWith(t, simulator, "sh", "bin/wxsim\n"), "bin/wxsim\n", "bin/wxsim -addr 127.0.0.1:8089\n", 1)
	text := strings.Join([]string{
		"trap 'kill $(jobs -p) 2>/dev/null' EXIT",
		"export LISTEN_ADDR=" + public + " INTERNAL_ADDR=" + internal,
		addresses.Replace(accounts + build),
		background(addresses.Replace(wxsim)),
		background(addresses.Replace(blockWith(t, simulator, "sh", "WECHAT_API_BASE=http://127.0.0.1:8089 bin/wxlogin\n"))),
		"for i in $(seq 100); do curl -fs http://" + internal + "/readyz >/dev/null && break; sleep 0.1; done",
		addresses.Replace(blockWith(t, simulator, "sh", "/sim/login")),
	}, "\n")
	out, err := exec.Command("bash", "-ec", text).Output()
	if err != nil {
		t.Fatalf("%v:\n%s", err, stderrOf(err))
	}
	_, response, _ := strings.Cut(string(out), "database migrated from version ")
	_, response, _ = strings.Cut(response, "\n")
	var update struct {
		Status   int
		UserInfo struct{ NickName string }
	}
	i := strings.LastIndex(response, `{"status"`)
	if i < 0 || json.Unmarshal([]byte(response[i:]), &update) != nil || update.Status != 200 || update.UserInfo.NickName != "bob" {
		t.Errorf("the phone got no profile; the commands printed:\n%s", out)
	}
}

// background makes a script of one command run in parallel to what follows.
func background(script string) string { return strings.TrimSpace(script) + " >&2 &" }

func stderrOf(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(exit.Stderr)
	}
	return ""
}

// mysqlServer is the MySQL of a test: the client's command line, and the address.
type mysqlServer struct{ client, addr string }

// newAccounts chooses a name for the documented database and accounts that no other test has, and drops them at the end.
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
