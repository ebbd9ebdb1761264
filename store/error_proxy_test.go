package store_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// errorProxy is a proxy in front of a database server that responds to some statements with errors.
type errorProxy struct {
	backend string
	mu      sync.Mutex
	errorOf func(statement string) *mysql.MySQLError // nil lets the statement pass
}

// newErrorProxy returns a proxy and the DSN of the database through it.
func newErrorProxy(t *testing.T, dsn string) (f *errorProxy, through string) {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f = &errorProxy{backend: config.Addr}
	config.Addr = l.Addr().String()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(client)
		}
	}()
	return f, config.FormatDSN()
}

// set sets the errors; nil means none.
func (f *errorProxy) set(errorOf func(statement string) *mysql.MySQLError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errorOf = errorOf
}

// serve forwards packets. Commands have the sequence number 0, packets of the handshake another one.
func (f *errorProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.backend)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(client, server)
		client.Close()
	}()
	for {
		packet := make([]byte, 4)
		if _, err := io.ReadFull(client, packet); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32([]byte{packet[0], packet[1], packet[2], 0}))
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		to, packet := server, append(packet, body...)
		if injected := f.errorFor(packet[3], body); injected != nil {
			to, packet = client, errPacket(injected)
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

// errorFor returns the error for a command. A ping or an execution has no text.
func (f *errorProxy) errorFor(sequence byte, body []byte) *mysql.MySQLError {
	const query, ping, prepare, execute = 3, 14, 22, 23
	f.mu.Lock()
	defer f.mu.Unlock()
	if sequence != 0 || f.errorOf == nil {
		return nil
	}
	switch body[0] {
	case query, prepare:
		return f.errorOf(string(body[1:]))
	case ping, execute:
		return f.errorOf("")
	}
	return nil
}

func errPacket(e *mysql.MySQLError) []byte {
	body := append(binary.LittleEndian.AppendUint16([]byte{0xff}, e.Number), "#HY000"+e.Message...)
	header := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	header[3] = 1 // the first response to a command
	return append(header, body...)
}
