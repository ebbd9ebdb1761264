package redistest

import (
	"context"
	"testing"
)

// RunServer is StartServer for the length of a test.
func RunServer(t testing.TB, settings func(port int) []string) *Server {
	t.Helper()
	need(t)
	return ended(t, func(dir string) (*Server, error) { return StartServer(t.Context(), dir+"/redis", settings) })
}

// RunCluster is StartCluster for the length of a test.
func RunCluster(t testing.TB) *Cluster {
	t.Helper()
	need(t)
	return ended(t, func(dir string) (*Cluster, error) { return StartCluster(t.Context(), dir) })
}

// RunSentinels is StartSentinels for the length of a test.
func RunSentinels(t testing.TB) *Sentinels {
	t.Helper()
	need(t)
	return ended(t, func(dir string) (*Sentinels, error) { return StartSentinels(t.Context(), dir) })
}

func need(t testing.TB) {
	t.Helper()
	if !Installed() {
		t.Skip("redis-server and redis-cli are not installed here; this needs real servers")
	}
}

// ended starts something and kills it at the end of the test, before its files go.
func ended[S interface{ Kill(context.Context) error }](t testing.TB, start func(dir string) (S, error)) S {
	t.Helper()
	s, err := start(t.TempDir())
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Kill(context.Background()); err != nil {
			t.Errorf("redistest: %v", err)
		}
	})
	return s
}
