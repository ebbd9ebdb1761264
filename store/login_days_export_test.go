package store

import (
	"context"
	"time"
)

// RunLoginDaysAt is RunLoginDays with another clock.
func (d *DB) RunLoginDaysAt(ctx context.Context, due <-chan time.Time) { d.runLoginDays(ctx, due) }

// LoginDays counts logins without a database, for measuring.
type LoginDays struct{ days loginDays }

// Count counts a login of an active user.
func (l *LoginDays) Count(appID string, at time.Time) {
	l.days.count(appID, visit{at: at, active: true})
}
