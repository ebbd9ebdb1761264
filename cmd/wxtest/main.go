// Command wxtest tests running wxlogin servers from outside, with the simulator (cmd/wxsim) as WeChat:
//
//	wxtest load     plays many users at once, checks every response, and reports how fast they were
//	wxtest faults   kills, pauses and stops every process in turn under load, and checks what is left
//	wxtest bench    measures what a request costs, compared with a bare handler
//
// For example:
//
//	go run ./cmd/wxtest load -server http://127.0.0.1:8080 -wechat http://127.0.0.1:8089 -rate 500 -duration 5m
//	go run ./cmd/wxtest load -server http://127.0.0.1:8080 -wechat http://127.0.0.1:8089 -internal http://127.0.0.1:9090 -overload 32
//	go run ./cmd/wxtest faults
//	go run ./cmd/wxtest bench
//
// "wxtest load -help" prints the flags of load, and so on. The exit code is 0 on success, 1 on failure, and 2 if the command
// line is invalid or something that it needs is missing. An interrupt ends a run early: wxtest prints what was measured until
// then, and leaves nothing behind.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"wxlogin/cmd/wxtest/internal/bench"
	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/faults"
	"wxlogin/cmd/wxtest/internal/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `Usage: wxtest load | faults | bench [flags]

  load     plays many users at once, checks every response, and reports how fast they were
  faults   kills, pauses and stops every process in turn under load, and checks what is left
  bench    measures what a request costs, compared with a bare handler

"wxtest load -help" prints the flags of load, and so on.
`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "load":
		return cli.Code(load.Run(ctx, args, stdout, stderr), stderr)
	case "faults":
		return cli.Code(faults.Run(ctx, args, stdout, stderr), stderr)
	case "bench":
		return cli.Code(bench.Run(ctx, args, stdout, stderr), stderr)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprint(stderr, usage)
	return cli.Code(cli.ErrUsage, stderr)
}
