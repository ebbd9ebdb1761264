package main

import (
	"net"
	"strings"
	"testing"
)

// A port that is taken may become free; what cannot become right is a fault of the configuration.
func TestServe_exit_code_of_an_address(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	for _, variable := range []string{"LISTEN_ADDR", "INTERNAL_ADDR"} {
		for name, tt := range map[string]struct {
			addr string
			code int
			want string
		}{
			"taken":        {addr, exitFailed, addr},
			"no such port": {"127.0.0.1:65536", exitUsage, "65536"},
			"no such host": {"nowhere.invalid:0", exitUsage, "nowhere.invalid"},
		} {
			t.Run(variable+" "+name, func(t *testing.T) {
				p := start(t, environ(t, variable+"="+tt.addr, "INTERNAL_API_KEY=0123456789abcdef"))
				code := p.exitCode()
				if name == "no such host" && code == exitFailed && strings.Contains(p.log(), "server misbehaving") {
					t.Skip("this machine has no working name server")
				}
				if code != tt.code {
					t.Errorf("exit code %d, want %d", code, tt.code)
				}
				if log := p.log(); !strings.Contains(log, variable+": ") || !strings.Contains(log, tt.want) || strings.Contains(log, `"msg":"serving"`) {
					t.Errorf("it said:\n%s", log)
				}
			})
		}
	}
	t.Run("both the same", func(t *testing.T) {
		p := start(t, environ(t, "LISTEN_ADDR=127.0.0.1:18080", "INTERNAL_ADDR=127.0.0.1:18080"))
		if code := p.exitCode(); code != exitUsage || !strings.Contains(p.log(), "INTERNAL_ADDR is the same as LISTEN_ADDR") {
			t.Errorf("exit code %d; it said:\n%s", code, p.log())
		}
	})
}
