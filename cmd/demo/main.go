// Command demo runs all of wxlogin in one process and on loopback only: an embedded MySQL and Redis, the WeChat
// simulator, and the server that cmd/wxlogin runs. It walks one mini-program through the two-phase login, printing
// every step, and then stays up with a web page, on which a phone runs the example mini-program's login client. The last
// line of its output is the page's address.
//
//	go run ./cmd/demo                  walk, then stay up until Ctrl-C
//	go run ./cmd/demo -once            walk, then exit: 0, or 1 if a step failed
//	go run ./cmd/demo -log demo.log    with the server's log in a file
//
// It is for trying out: whatever it stores ends with it, and its MySQL is slow beyond a few thousand users.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"wxlogin/internal/embedded"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const anyPort = "127.0.0.1:0"

// options are the command line.
type options struct {
	once                                        bool
	logFile                                     string
	public, internal, mysql, redis, wxsim, page string // addresses
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&o.once, "once", false, "exit after the walk")
	fs.StringVar(&o.logFile, "log", "", "`file` that the server's log is appended to; by default it is not kept")
	fs.StringVar(&o.public, "addr", anyPort, "`address` for mini-programs")
	fs.StringVar(&o.internal, "internal", anyPort, "`address` of health checks and metrics")
	fs.StringVar(&o.mysql, "mysql", anyPort, "`address` of the embedded MySQL")
	fs.StringVar(&o.redis, "redis", anyPort, "`address` of the embedded Redis")
	fs.StringVar(&o.wxsim, "wxsim", anyPort, "`address` of the WeChat simulator")
	fs.StringVar(&o.page, "page", anyPort, "`address` of the web page")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	err := o.requireLoopback()
	if fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
	}
	return o, err
}

// requireLoopback keeps everything on this machine: the demo's MySQL has no password, and its WeChat lets anyone log in
// as anyone.
func (o options) requireLoopback() error {
	var faults []error
	for _, addr := range []string{o.public, o.internal, o.mysql, o.redis, o.wxsim, o.page} {
		faults = append(faults, embedded.RequireLoopback(addr))
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if err := show(ctx, o, stdout); err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return 1
	}
	return 0
}

// show starts everything, walks, and stays up unless -once is set.
func show(ctx context.Context, o options, stdout io.Writer) (err error) {
	log := io.Discard
	if o.logFile != "" {
		file, err := os.OpenFile(o.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		log = file
	}
	s, err := startStack(ctx, o, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	w := &walk{stack: s, out: printer{stdout}}
	if err := w.run(ctx); err != nil || o.once {
		return err
	}
	s.printHowToGoOn(stdout)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.server.Failed():
		return err
	}
}

// printHowToGoOn prints commands that work with this process, and the page's address as the last line.
func (s *stack) printHowToGoOn(out io.Writer) {
	mysqlHost, mysqlPort, _ := net.SplitHostPort(s.mysql.Addr()) // an address of our own listener
	fmt.Fprintf(out, `
The demo runs until Ctrl-C, which deletes its data. By hand:

  # Bob logs in: a code from the simulated phone, exchanged for a token
  curl -s -X POST '%[1]s/sim/login?user=bob'
  curl -s http://%[2]s/onLogin -d code=CODE

  # Bob's profile: encryptedData and iv from the phone, sent with the token
  curl -s -X POST '%[1]s/sim/userinfo?user=bob'
  curl -s http://%[2]s/updateUserInfo -d token=TOKEN --data-urlencode encryptedData=DATA --data-urlencode iv=IV

  # What admins and operators see
  mysql -h %[3]s -P %[4]s -u root wxlogin -e 'SELECT * FROM user_profiles\G'
  curl -s http://%[5]s/readyz
  curl -s http://%[5]s/metrics

In a browser, with a phone, its requests and buttons for what goes wrong:

  %[6]s/
`, s.wxsimURL, s.server.PublicAddr(), mysqlHost, mysqlPort, s.server.InternalAddr(), s.pageURL)
}
