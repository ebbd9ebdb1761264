package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// replicaTimeout is what a replica gets of a caller's time, so that the primary can still be asked in the rest.
	replicaTimeout = 300 * time.Millisecond

	// replicaRest is how long replicas are left alone after one of them failed.
	replicaRest = time.Second
)

// replicas are the read replicas of a database. They are kept apart from the primary, so that nothing can be read from
// them by mistake: whatever must see its own write asks the primary.
type replicas struct {
	pools   []*sql.DB
	lookups []*lookups // in each of them
	now     func() time.Time
	resting atomic.Int64 // until when, in nanoseconds of Unix time
}

// openReplicas opens the pools. Without replicas there is nothing to ask, and the primary serves all reads.
func openReplicas(o Options) (*replicas, error) {
	r := &replicas{now: o.Now}
	for i, dsn := range o.Replicas {
		_, replica, err := openPool(dsn, o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("replica %d: %w", i+1, err), r.close())
		}
		r.pools = append(r.pools, replica)
		r.lookups = append(r.lookups, newLookups(newDirect(replica, o), o.Now))
	}
	return r, nil
}

// ready tells whether there is a replica to ask now.
func (r *replicas) ready() bool {
	return len(r.lookups) > 0 && r.now().UnixNano() >= r.resting.Load()
}

// byIdentity reads a user from any of the replicas.
func (r *replicas) byIdentity(ctx context.Context, appID, openID string) (userRow, error) {
	bounded, cancel := context.WithTimeout(ctx, replicaTimeout)
	defer cancel()
	row, err := r.lookups[rand.N(len(r.lookups))].find(bounded, appID, openID)
	if err != nil && !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
		r.resting.Store(r.now().Add(replicaRest).UnixNano())
	}
	return row, err
}

// CheckReplicas looks at each replica once, all at the same time, and returns an error for each, in the order of
// Options.Replicas: nil for one that can be read, or as of Find.
func (d *DB) CheckReplicas(ctx context.Context) []error {
	errs := make([]error, len(d.replicas.lookups))
	var checks sync.WaitGroup
	for i, l := range d.replicas.lookups {
		checks.Go(func() {
			_, err := l.one(ctx, identity{})
			if !errors.Is(err, ErrNotFound) {
				errs[i] = d.fault(ctx, fmt.Sprintf("replica %d", i+1), err)
			}
		})
	}
	checks.Wait()
	return errs
}

func (r *replicas) close() error {
	var errs []error
	for _, pool := range r.pools {
		errs = append(errs, pool.Close())
	}
	return errors.Join(errs...)
}

// FindOnReplica is Find for readers who can live with what was true a moment ago: it asks a replica where there are some,
// and the primary for whom a replica does not know yet or where it fails. How old its answer may be is the replication's
// delay: so long a user who was disabled or merged may still be found as before.
//
// Errors: as Find.
func (u *Users) FindOnReplica(ctx context.Context, appID, openID string) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	if u.db.replicas.ready() {
		if row, err := u.db.replicas.byIdentity(ctx, appID, openID); err == nil {
			return row.user(), nil
		}
	}
	return u.Find(ctx, appID, openID)
}
