//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An import that is killed has whole batches, and goes on when it is run again.
func TestImport_Killed(t *testing.T) {
	o := newOperator(t)
	var list strings.Builder
	list.WriteString("openid,external_id\n")
	for i := range 1200 {
		fmt.Fprintf(&list, "o%d,%d\n", i, i)
	}
	fifo := filepath.Join(t.TempDir(), "list.csv")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, o.environ, "import", "-file", fifo, "-appid", appID)
	end, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits for the process to open it
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	if _, err := end.WriteString(list.String()); err != nil { // the process waits for more
		t.Fatal(err)
	}
	users := func() string { return o.column("SELECT COUNT(*) FROM users")[0] }
	for deadline := time.Now().Add(time.Minute); users() != "1000"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s users: %s", users(), p.log())
		}
	}
	p.signal(syscall.SIGKILL)
	if code := p.exitCode(); code != -1 {
		t.Errorf("exit code %d", code)
	}
	if n := o.column("SELECT COUNT(*) FROM wechat_identities")[0]; n != "1000" || users() != "1000" {
		t.Errorf("%s users with %s identities", users(), n)
	}
	o.want(exitOK, "1200 lines: 200 users created, 0 filled, 0 merged, 1000 unchanged, 0 refused",
		"import", "-file", o.list(list.String()), "-appid", appID)
	if n := o.column("SELECT COUNT(DISTINCT user_id) FROM wechat_identities")[0]; n != "1200" || users() != "1200" {
		t.Errorf("%s users with identities of %s", users(), n)
	}
}
