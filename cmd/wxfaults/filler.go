package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// tooManyConnections is what MySQL answers when max_connections is reached.
const tooManyConnections = 1040

// filler takes all connections of the database and keeps them, as another application with a leak would.
type filler struct {
	db   *sql.DB
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	conns []*sql.Conn
}

// fill takes every connection, then ends those of the servers and takes these too: a server with idle connections would
// not notice anything. It goes on taking what becomes free until release.
func (m *mariadb) fill(ctx context.Context) (*filler, error) {
	db, err := sql.Open("mysql", fmt.Sprintf(fillerDSN, m.addr))
	if err != nil {
		return nil, err
	}
	control, err := m.root.Conn(ctx) // before there is none left
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	defer control.Close()
	ctx, stop := context.WithCancel(ctx)
	f := &filler{db: db, stop: stop}
	if err := f.takeAll(ctx); err != nil {
		return nil, errors.Join(err, f.release())
	}
	for range 4 {
		f.done.Go(func() { f.keepTaking(ctx) })
	}
	if err := endServersConnections(ctx, control); err != nil {
		return nil, errors.Join(err, f.release())
	}
	return f, nil
}

func (f *filler) take(ctx context.Context) error {
	conn, err := f.db.Conn(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, conn)
	return nil
}

// takeAll takes connections until the database has none left.
func (f *filler) takeAll(ctx context.Context) error {
	for range maxConnections + 1 {
		err := f.take(ctx)
		var answer *mysql.MySQLError
		if errors.As(err, &answer) && answer.Number == tooManyConnections {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the database gives more than max_connections")
}

func (f *filler) keepTaking(ctx context.Context) {
	for ctx.Err() == nil {
		if f.take(ctx) != nil {
			time.Sleep(time.Millisecond)
		}
	}
}

// endServersConnections ends them until there are none: while the servers are faster than the filler, they get some back.
func endServersConnections(ctx context.Context, control *sql.Conn) error {
	for range 100 {
		ids, err := serversConnections(ctx, control)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			control.ExecContext(ctx, fmt.Sprintf("KILL %d", id)) // it may have ended by itself
		}
		sleep(ctx, 5*time.Millisecond)
	}
	return errors.New("the servers do not lose their connections to the database")
}

func serversConnections(ctx context.Context, control *sql.Conn) ([]int64, error) {
	rows, err := control.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE user = 'wxlogin'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
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
func (f *filler) release() error {
	f.stop()
	f.done.Wait()
	for _, conn := range f.conns {
		conn.Close() // what matters is that it is not taken any more
	}
	return f.db.Close()
}
