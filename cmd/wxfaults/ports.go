package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range from which systems choose those of outgoing connections: a server that is down for
// a moment would find its port taken by some client's.
const (
	firstPort = 20000
	ports     = 10000
)

// freeAddr is a loopback address on which nobody listens, and none of those given.
func freeAddr(taken map[string]bool) (string, error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(ports)))
		if taken[addr] {
			continue
		}
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		taken[addr] = true
		return addr, listener.Close()
	}
	return "", errors.New("no free port between 20000 and 30000")
}
