package main

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
)

// redis is the suite's own Redis. It keeps nothing over its end.
type redis struct {
	child
	addr string
}

func newRedis(dir, addr string) *redis {
	host, port, _ := net.SplitHostPort(addr)
	return &redis{addr: addr, child: child{
		name: "redis-server", path: lookPath("redis-server"), log: filepath.Join(dir, "redis.log"),
		args: []string{"--bind", host, "--port", port, "--dir", dir, "--save", "", "--appendonly", "no"},
	}}
}

// probe asks Redis over a new connection.
func (r *redis) probe(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer := make([]byte, len("+PONG\r\n"))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != "+PONG\r\n" {
		return errors.New("redis does not say PONG")
	}
	return nil
}
