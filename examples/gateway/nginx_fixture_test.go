package gateway_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"wxlogin/internal/testenv"
)

// gateway is a gateway that runs.
type gateway struct {
	*process
	url string
}

// startNginx runs one of nginx/*.conf; change makes of a file's text what this test needs.
func startNginx(t *testing.T, conf, key string, change func(file, text string) string) gateway {
	t.Helper()
	needs(t, "nginx")
	folder := t.TempDir()
	files, err := filepath.Glob("nginx/*.conf")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		writeFile(t, filepath.Join(folder, name), change(name, readFile(t, file)))
	}
	writeFile(t, filepath.Join(folder, "api-key.conf"), "proxy_set_header X-Api-Key "+key+";\n")
	addr := testenv.FreeAddr(t)
	path := filepath.Join(folder, conf)
	writeFile(t, path, replaced(t, readFile(t, path), "127.0.0.1:8000", addr))

	global := "daemon off;"
	if os.Geteuid() == 0 {
		global += " user root;" // nobody else may enter the test's folder
	}
	g := gateway{run(t, exec.Command("nginx", "-p", folder, "-c", path, "-g", global), nil), "http://" + addr}
	g.awaitPort(t, addr)
	return g
}

// startServiceNginx runs nginx.conf between wxlogin's internal listener and a service.
func startServiceNginx(t *testing.T, internal, service, key string) gateway {
	t.Helper()
	return startNginx(t, "nginx.conf", key, func(file, text string) string {
		if file != "nginx.conf" {
			return text
		}
		return replaced(t, text, "127.0.0.1:9090", internal, "127.0.0.1:3000", service)
	})
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
