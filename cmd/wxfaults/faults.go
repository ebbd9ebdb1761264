package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// fault is something that is committed and ends again.
type fault interface {
	// begin commits it. s is the plan's step.
	begin(ctx context.Context, sys *system, s step) error
	// end takes it back, as far as that is a matter of the moment.
	end(ctx context.Context, sys *system) error
	// probe asks whether the part is back.
	probe(ctx context.Context, sys *system) error
}

// part finds a process of a system, and how it is asked whether it is up.
type part func(*system) (*child, func(context.Context) error)

func redisPart(s *system) (*child, func(context.Context) error) { return &s.redis.child, s.redis.probe }
func mysqlPart(s *system) (*child, func(context.Context) error) { return &s.mysql.child, s.mysql.probe }
func wechatPart(s *system) (*child, func(context.Context) error) {
	return &s.wechat.child, s.wechat.probe
}

func serverPart(name string) part {
	return func(s *system) (*child, func(context.Context) error) {
		return &s.servers[name].child, s.servers[name].probe
	}
}

// onePart is the common half of the faults of one process.
type onePart struct{ part }

func (f onePart) probe(ctx context.Context, sys *system) error {
	_, probe := f.part(sys)
	return probe(ctx)
}

// pause stops a process as a machine that hangs would: its connections stay open.
type pause struct{ onePart }

func pausing(p part) func() fault { return func() fault { return pause{onePart{p}} } }

func (f pause) begin(_ context.Context, sys *system, _ step) error {
	c, _ := f.part(sys)
	return c.signal(pauseSignal)
}

func (f pause) end(_ context.Context, sys *system) error {
	c, _ := f.part(sys)
	return c.signal(resumeSignal)
}

// kill ends a process without notice and starts it again at the same address.
type kill struct{ onePart }

func killing(p part) func() fault { return func() fault { return kill{onePart{p}} } }

func (f kill) begin(_ context.Context, sys *system, _ step) error {
	c, _ := f.part(sys)
	return c.kill()
}

func (f kill) end(_ context.Context, sys *system) error {
	c, _ := f.part(sys)
	return c.start()
}

// orderlyStop asks a server to stop, which has to succeed while requests come in and logins are under way: WeChat takes
// its time for these, so that there are some whenever the server closes its port.
type orderlyStop struct{ onePart }

const (
	stopLimit  = 20 * time.Second // for the server to end
	slowLogin  = "slow:1500ms"    // longer than a server goes on serving after the signal
	slowLogins = phones + 6
)

func stopping(server string) func() fault {
	return func() fault { return orderlyStop{onePart{serverPart(server)}} }
}

func (f orderlyStop) begin(ctx context.Context, sys *system, _ step) error {
	if err := sys.wechat.fault(ctx, slowLogin, slowLogins); err != nil {
		return err
	}
	c, _ := f.part(sys)
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	code, err := c.wait(stopLimit)
	if err != nil {
		return errors.Join(err, c.kill())
	}
	if code != 0 {
		return fmt.Errorf("%s: exit code %d after SIGTERM", c.name, code)
	}
	return nil
}

func (f orderlyStop) end(_ context.Context, sys *system) error {
	c, _ := f.part(sys)
	return c.start()
}

// fullDatabase leaves the servers no connection.
type fullDatabase struct {
	onePart
	filler *filler
}

func filling() fault { return &fullDatabase{onePart: onePart{mysqlPart}} }

func (f *fullDatabase) begin(ctx context.Context, sys *system, _ step) (err error) {
	f.filler, err = sys.mysql.fill(ctx)
	return err
}

func (f *fullDatabase) end(context.Context, *system) error { return f.filler.release() }

// unreliable lets exchanges with WeChat fail, one after the other in the order of the plan.
type unreliable struct {
	onePart
	stop  context.CancelFunc
	ended chan error
}

func misbehaving() fault { return &unreliable{onePart: onePart{wechatPart}} }

func (f *unreliable) begin(ctx context.Context, sys *system, s step) error {
	ctx, f.stop = context.WithCancel(ctx)
	f.ended = make(chan error, 1)
	go func() {
		for _, kind := range s.burst {
			if err := sys.wechat.fault(ctx, kind, 1); err != nil && ctx.Err() == nil {
				f.ended <- err
				return
			}
			sleep(ctx, s.length/burstLength)
		}
		f.ended <- nil
	}()
	return nil
}

func (f *unreliable) end(context.Context, *system) error {
	f.stop()
	return <-f.ended
}
