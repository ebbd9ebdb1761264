package store_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// faulty is in front of a database server and answers some of the statements itself, with errors.
type faulty struct {
	backend string
	mu      sync.Mutex
	fault   func(statement string) *mysql.MySQLError // nil lets the statement pass
}

// newFaulty returns the DSN of a database by way of a faulty server.
func newFaulty(t *testing.T, dsn string) (f *faulty, through string) {
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
	f = &faulty{backend: config.Addr}
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

// set sets what becomes of statements; nil is nothing.
func (f *faulty) set(fault func(statement string) *mysql.MySQLError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// serve passes packets on. Commands have the sequence number 0, what belongs to the handshake has another.
func (f *faulty) serve(client net.Conn) {
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
		if answer := f.faultOf(packet[3], body); answer != nil {
			to, packet = client, errPacket(answer)
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

// faultOf is the error for a command: a ping or an execution has no text.
func (f *faulty) faultOf(sequence byte, body []byte) *mysql.MySQLError {
	const query, ping, prepare, execute = 3, 14, 22, 23
	f.mu.Lock()
	defer f.mu.Unlock()
	if sequence != 0 || f.fault == nil {
		return nil
	}
	switch body[0] {
	case query, prepare:
		return f.fault(string(body[1:]))
	case ping, execute:
		return f.fault("")
	}
	return nil
}

func errPacket(e *mysql.MySQLError) []byte {
	body := append(binary.LittleEndian.AppendUint16([]byte{0xff}, e.Number), "#HY000"+e.Message...)
	header := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	header[3] = 1 // the first answer to a command
	return append(header, body...)
}
