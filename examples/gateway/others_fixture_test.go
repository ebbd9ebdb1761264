package gateway_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	"wxlogin/internal/testenv"
)

// startCaddy runs caddy/Caddyfile between wxlogin's internal listener and a service.
func startCaddy(t *testing.T, internal, service, key string) gateway {
	t.Helper()
	needs(t, "caddy")
	addr := testenv.FreeAddr(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "Caddyfile")
	writeFile(t, file, replaced(t, readFile(t, "caddy/Caddyfile"),
		"127.0.0.1:8000", addr, "127.0.0.1:9090", internal, "127.0.0.1:3000", service))
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = append(os.Environ(), "INTERNAL_API_KEY="+key, "XDG_CONFIG_HOME="+folder, "XDG_DATA_HOME="+folder)
	g := gateway{run(t, cmd, nil), "http://" + addr}
	g.awaitPort(t, addr)
	return g
}

// startTraefik runs traefik/dynamic.yml between wxlogin's internal listener and a service.
func startTraefik(t *testing.T, internal, service, key string) gateway {
	t.Helper()
	needs(t, "traefik")
	addr := testenv.FreeAddr(t)
	file := filepath.Join(t.TempDir(), "dynamic.yml")
	writeFile(t, file, replaced(t, readFile(t, "traefik/dynamic.yml"), "127.0.0.1:9090", internal, "127.0.0.1:3000", service))
	api := testenv.FreeAddr(t) // responds once the file has been read, which is after the port was opened
	cmd := exec.Command("traefik", "--entryPoints.web.address="+addr, "--providers.file.filename="+file,
		"--entryPoints.web.http.aliasHeadersStrategy=delete",
		"--api.insecure=true", "--entryPoints.traefik.address="+api)
	cmd.Env = append(os.Environ(), "INTERNAL_API_KEY="+key)
	g := gateway{run(t, cmd, nil), "http://" + addr}
	g.awaitPort(t, addr)
	g.awaitPort(t, api)
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		if (request{path: "/api/http/routers/service@file"}).to(t, "http://"+api).status == http.StatusOK {
			return g
		}
		if time.Now().After(deadline) {
			t.Fatal("traefik has no router")
		}
	}
}
