package main

import (
	"os"
	"strings"
	"testing"
)

func TestServe_names_the_variable_that_may_be_meant(t *testing.T) {
	const dsn = "wxlogin:pa55word@tcp(127.0.0.1:3306)/wxlogin"
	t.Run("beside the faults", func(t *testing.T) {
		for _, command := range []string{"serve", "migrate", "sweep"} {
			p := start(t, []string{"MYSQL_DNS=" + dsn, "WECHAT_SECRET=" + secret + "\r", "MYSQL_PORT=3306"}, command)
			if got := p.exitCode(); got != exitUsage {
				t.Errorf("%s: exit code %d, want %d", command, got, exitUsage)
			}
			for _, want := range []string{"MYSQL_DSN is not set", "MYSQL_DNS is not a variable of wxlogin: did you mean MYSQL_DSN?"} {
				if strings.Count(p.log(), want) != 1 {
					t.Errorf("%s: it does not say once %q:\n%s", command, want, p.log())
				}
			}
			if strings.Contains(p.log(), "pa55word") || strings.Contains(p.log(), secret) || strings.Contains(p.log(), "MYSQL_PORT") {
				t.Errorf("%s: it says too much", command)
			}
		}
	})
	t.Run("once, when it starts all the same", func(t *testing.T) {
		p := start(t, environ(t, "REDIS_URI=redis://:pa55word@h", "REDIS_SERVICE_HOST=10.0.0.7"))
		p.wait("serving")
		p.signal(os.Interrupt)
		if got := p.exitCode(); got != exitOK {
			t.Errorf("exit code %d", got)
		}
		if got := strings.Count(p.log(), "REDIS_URI is not a variable of wxlogin: did you mean REDIS_URL?"); got != 1 {
			t.Errorf("warned %d times:\n%s", got, p.log())
		}
		if strings.Contains(p.log(), "pa55word") || strings.Contains(p.log(), "REDIS_SERVICE_HOST") {
			t.Error("it says too much")
		}
	})
}
