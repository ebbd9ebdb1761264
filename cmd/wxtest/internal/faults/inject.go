package faults

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/cmd/wxtest/internal/process"
)

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

// connectionHog takes all connections of the database and keeps them, like another application with a leak.
type connectionHog struct {
	db     *sql.DB
	cancel context.CancelFunc
	taking sync.WaitGroup

	mu    sync.Mutex
	conns []*sql.Conn
}

// fillConnections takes all connections, then ends those of the servers and takes these too: a server with idle connections
// would not notice anything. It goes on taking what becomes free.
func fillConnections(ctx context.Context, c *cluster, _ *process.Process, _ step) (end func() error, err error) {
	db, err := sql.Open("mysql", c.mysql.DSN("filler", "", time.Second))
	if err != nil {
		return nil, err
	}
	control, err := c.mysql.Root.Conn(ctx) // while there is one left
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	defer control.Close()
	ctx, cancel := context.WithCancel(ctx)
	h := &connectionHog{db: db, cancel: cancel}
	if err := h.takeAll(ctx); err != nil {
		return nil, errors.Join(err, h.release())
	}
	for range 4 {
		h.taking.Go(func() {
			for ctx.Err() == nil {
				if h.take(ctx) != nil {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	if err := endServersConnections(ctx, control); err != nil {
		return nil, errors.Join(err, h.release())
	}
	return h.release, nil
}

func (h *connectionHog) take(ctx context.Context) error {
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, conn)
	return nil
}

// tooManyConnections is MySQL's error when max_connections is reached.
const tooManyConnections = 1040

func (h *connectionHog) takeAll(ctx context.Context) error {
	for range process.MaxConnections + 1 {
		err := h.take(ctx)
		if full, ok := errors.AsType[*mysql.MySQLError](err); ok && full.Number == tooManyConnections {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the database gives more than max_connections")
}

// endServersConnections ends them until there are none: as long as the servers are faster than the hog, they get some back.
func endServersConnections(ctx context.Context, control *sql.Conn) error {
	for range 100 {
		ids, err := serversConnections(ctx, control)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			control.ExecContext(ctx, fmt.Sprintf("KILL %d", id)) // it may have ended by itself
		}
		process.Sleep(ctx, 5*time.Millisecond)
	}
	return errors.New("the servers do not lose their connections to the database")
}

func serversConnections(ctx context.Context, control *sql.Conn) (ids []int64, err error) {
	rows, err := control.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE user = 'wxlogin'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// release gives all connections back.
func (h *connectionHog) release() error {
	h.cancel()
	h.taking.Wait()
	for _, conn := range h.conns {
		conn.Close() // its error does not matter
	}
	return h.db.Close()
}
