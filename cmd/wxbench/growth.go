package main

import (
	"context"
	"io"
	"strconv"
)

// grow measures a returning login with more and more users in MySQL.
func (w *world) grow(ctx context.Context, stdout io.Writer) error {
	if err := w.addSessions(ctx); err != nil {
		return err
	}
	table := newTable(stdout, "users")
	for i, users := range w.growth {
		if i > 0 {
			w.remark("adding users up to %d", users)
			if err := w.storage.fill(ctx, w.growth[i-1], users, false); err != nil {
				return err
			}
			w.choosePeople(users)
		}
		result, err := w.compareKind(ctx, returning)
		if err != nil {
			return err
		}
		row(table, strconv.Itoa(users), medians(result.WXLogin), "")
	}
	return table.Flush()
}
