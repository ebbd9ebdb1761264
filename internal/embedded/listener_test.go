package embedded

import (
	"io"
	"net"
	"strings"
	"testing"
)

// pair returns both ends of a connection.
func pair(t *testing.T) (*clientConn, net.Conn) {
	t.Helper()
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return accepted.(*clientConn), client
}

func TestClientConn_Watch(t *testing.T) {
	t.Run("keeps data that arrives early", func(t *testing.T) {
		server, client := pair(t)
		early := strings.Repeat("early ", 500)
		for range 3 {
			server.watch(func() { t.Error("onClose called, but the client has not hung up") })
			if _, err := io.WriteString(client, early+"late"); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(early)+4)
			if _, err := io.ReadFull(server, got); err != nil || string(got) != early+"late" {
				t.Fatalf("read %q, %v", got, err)
			}
		}
	})

	t.Run("reports that the client has hung up", func(t *testing.T) {
		server, client := pair(t)
		closed := make(chan struct{})
		server.watch(func() { close(closed) })
		io.WriteString(client, "bye")
		client.Close()
		<-closed
		server.stopWatch()
		if got, err := io.ReadAll(server); string(got) != "bye" || err != nil {
			t.Errorf("read %q, %v; want what the client sent before", got, err)
		}
	})
}
