package faults

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"wxlogin/cmd/wxtest/internal/process"
)

// scenario is a fault and what its effects may be.
type scenario struct {
	name          string
	component     string
	inject        injection
	length        time.Duration // of the fault, more or less
	bound         time.Duration // of the slowest response meanwhile
	losesSessions bool          // Redis comes back empty
	orderly       bool          // a server stops as it should, and no request may be cut
}

// Bounds of the slowest response: storage has 2 s, WeChat 6 s, and a paused server cannot answer before it resumes.
const (
	storageBound = 2 * time.Second
	wechatBound  = 6 * time.Second
	spread       = 300 * time.Millisecond // by which a fault may be longer than planned
	pausedBound  = 3*time.Second + spread + storageBound
)

var scenarios = []scenario{
	{name: "redis paused", component: "redis", inject: pause, length: 4 * time.Second, bound: storageBound},
	{name: "redis killed, back empty", component: "redis", inject: kill, length: time.Second, bound: storageBound, losesSessions: true},
	{name: "mysql paused", component: "mysql", inject: pause, length: 4 * time.Second, bound: storageBound},
	{name: "mysql killed", component: "mysql", inject: kill, length: time.Second, bound: storageBound},
	{name: "mysql without connections", component: "mysql", inject: fillConnections, length: 4 * time.Second, bound: storageBound},
	{name: "wechat paused", component: "wechat", inject: pause, length: 7 * time.Second, bound: wechatBound},
	{name: "wechat killed", component: "wechat", inject: kill, length: 2 * time.Second, bound: wechatBound},
	{name: "wechat unreliable", component: "wechat", inject: failExchanges, length: 4 * time.Second, bound: wechatBound},
	{name: "server A killed", component: "server A", inject: kill, length: time.Second, bound: storageBound},
	{name: "server B paused", component: "server B", inject: pause, length: 3 * time.Second, bound: pausedBound},
	{name: "server A stopped in order", component: "server A", inject: stop, length: time.Second, bound: wechatBound, orderly: true},
}

// step is a scenario with what the seed decides.
type step struct {
	scenario
	idle  time.Duration // before the fault
	burst []string      // faults of WeChat, in their order
}

const burstLength = 60

var wechatFaults = []string{"dropped", "droppedafter", "busy", "badgateway", "brokenjson", "slow:300ms"}

// newPlan returns all scenarios in the order of a seed, round by round. More rounds only add to a plan.
func newPlan(seed uint64, rounds int) (plan []step) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		for _, i := range rng.Perm(len(scenarios)) {
			s := step{scenario: scenarios[i], idle: time.Second + time.Duration(rng.Int64N(int64(time.Second)))}
			s.length += time.Duration(rng.Int64N(int64(spread)))
			for range burstLength {
				s.burst = append(s.burst, wechatFaults[rng.IntN(len(wechatFaults))])
			}
			plan = append(plan, s)
		}
	}
	return plan
}

// injection injects a step's fault into a component. end takes it back, as far as that takes only a moment.
type injection func(ctx context.Context, c *cluster, p *process.Process, s step) (end func() error, err error)

// pause stops a process like a machine that hangs: its connections stay open.
func pause(_ context.Context, _ *cluster, p *process.Process, _ step) (func() error, error) {
	return p.Resume, p.Pause()
}

// kill ends a process without notice, and starts it again at the same address.
func kill(_ context.Context, _ *cluster, p *process.Process, _ step) (func() error, error) {
	return p.Start, p.Kill()
}

const (
	stopTimeout = 20 * time.Second // for a server to end
	slowLogin   = "slow:1500ms"    // longer than a server goes on serving after the signal
	slowLogins  = phones + 6
)

// stop sends SIGTERM to a server, which must end in order while requests come in and logins are in flight: WeChat is slow, so
// that there are some when the server closes its port.
func stop(ctx context.Context, c *cluster, p *process.Process, _ step) (func() error, error) {
	err := c.simulator.Fail(ctx, slowLogin, slowLogins)
	if err == nil {
		err = p.Signal(syscall.SIGTERM)
	}
	if err != nil {
		return func() error { return nil }, err
	}
	code, err := p.Wait(stopTimeout)
	switch {
	case err != nil:
		err = errors.Join(err, p.Kill())
	case code != 0:
		err = fmt.Errorf("%s: exit code %d after SIGTERM", p.Name, code)
	}
	return p.Start, err
}

// failExchanges lets exchanges with WeChat fail, one after the other, in the order of the plan.
func failExchanges(ctx context.Context, c *cluster, _ *process.Process, s step) (func() error, error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		for _, kind := range s.burst {
			if err := c.simulator.Fail(ctx, kind, 1); err != nil && ctx.Err() == nil {
				ended <- err
				return
			}
			process.Sleep(ctx, s.length/burstLength)
		}
		ended <- nil
	}()
	return func() error { cancel(); return <-ended }, nil
}

// fewConnections is the lowest limit of connections that MariaDB takes.
const fewConnections = 10

// fillConnections takes all connections of the database, like another application with a leak. For that it lowers the limit,
// and ends the connections of the servers: with idle ones they would not notice anything.
func fillConnections(ctx context.Context, c *cluster, _ *process.Process, _ step) (end func() error, err error) {
	db, err := sql.Open("mysql", c.mysql.DSN("filler", "")+"?timeout=1s")
	if err != nil {
		return nil, err
	}
	end = func() error {
		_, err := c.mysql.Root.ExecContext(ctx, fmt.Sprint("SET GLOBAL max_connections = ", process.MaxConnections))
		return errors.Join(err, db.Close())
	}
	for range fewConnections { // held until db is closed
		if _, err := db.Conn(ctx); err != nil {
			return nil, errors.Join(err, end())
		}
	}
	_, err = c.mysql.Root.ExecContext(ctx, fmt.Sprint("SET GLOBAL max_connections = ", fewConnections))
	if err == nil {
		err = endServersConnections(ctx, c.mysql.Root)
	}
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// endServersConnections ends all connections of the servers. While the limit is not reached, they may open others meanwhile.
func endServersConnections(ctx context.Context, root *sql.DB) error {
	for range 100 {
		var ids sql.NullString
		err := root.QueryRowContext(ctx, `SELECT GROUP_CONCAT(id) FROM information_schema.processlist WHERE user = 'wxlogin'`).Scan(&ids)
		if err != nil || !ids.Valid {
			return err
		}
		for id := range strings.SplitSeq(ids.String, ",") {
			root.ExecContext(ctx, "KILL "+id) // it may have ended by itself
		}
		process.Sleep(ctx, 5*time.Millisecond)
	}
	return errors.New("the servers do not lose their connections to the database")
}
