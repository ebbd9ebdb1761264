package store

import (
	"context"
	"errors"
)

// single imports one user, in transactions of its own.
func (im *userImport) single(ctx context.Context, i int) error {
	result, isRetry := &im.results[i], false
	result.Outcome = ImportUnchanged
	err := retry(ctx, func() error {
		outcome, err := im.trySingle(ctx, im.people[i], isRetry)
		result.Outcome, isRetry = max(result.Outcome, outcome), true
		return err
	})
	if errors.Is(err, ErrTaken) || errors.Is(err, ErrNotFound) {
		result.Outcome, result.Err, err = ImportRefused, err, nil
	}
	return err
}

// trySingle is one attempt to import a user that may need a merge. If isRetry is set and the identity is not found, its row
// may exist without a user.
func (im *userImport) trySingle(ctx context.Context, p ImportedUser, isRetry bool) (outcome ImportOutcome, err error) {
	u, id := im.users, p.identity(im.appID)
	row, err := u.byIdentity(ctx, im.appID, p.OpenID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	holder, err := u.holderOf(ctx, p.UnionID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	refused, err := u.db.queries.importable(ctx, p, row, holder)
	if err != nil || refused != nil {
		return 0, errors.Join(refused, err)
	}
	switch {
	case row.ID == 0:
		if row, outcome, err = im.addIdentity(ctx, p, holder, isRetry); err != nil || outcome == ImportCreated {
			return outcome, err
		}
	case p.UnionID != "" && row.UnionID == nil:
		if row, err = u.attachUnionID(ctx, row, id); err != nil {
			return 0, err
		}
		if row.UnionID != nil {
			outcome = ImportFilled
			if holder.ID != 0 {
				outcome = ImportMerged
			}
		}
	}
	filled, err := u.fillSingle(ctx, row.ID, p)
	if filled {
		outcome = max(outcome, ImportFilled)
	}
	return outcome, err
}

// addIdentity links an unknown identity to the user with its unionid, or creates a user for it.
func (im *userImport) addIdentity(
	ctx context.Context, p ImportedUser, holder userRow, isRetry bool,
) (row userRow, outcome ImportOutcome, err error) {
	u, id := im.users, p.identity(im.appID)
	var orphan identityRow
	if isRetry {
		if orphan, err = u.orphan(ctx, id); err != nil {
			return userRow{}, 0, err
		}
	}
	if holder.ID != 0 {
		since := p.CreatedAt
		if since.IsZero() {
			since = u.db.now()
		}
		row, err = u.link(ctx, holder.ID, id, orphan, since)
		return row, ImportMerged, err
	}
	err = u.db.transaction(ctx, func(tx queries) error {
		if orphan.UserID == 0 {
			return u.createImported(ctx, tx, im.appID, []ImportedUser{p})
		}
		rows, err := u.insertImported(ctx, tx, []ImportedUser{p})
		if err != nil {
			return err
		}
		return tx.reassign(ctx, orphan, rows[0].ID, rows[0].CreatedAt)
	})
	return userRow{}, ImportCreated, err
}

// fillSingle fills one user, and takes an external id from a user that was merged into it.
func (u *Users) fillSingle(ctx context.Context, id uint64, p ImportedUser) (filled bool, err error) {
	err = u.db.transaction(ctx, func(tx queries) error {
		row, err := tx.lockUser(ctx, id)
		if err != nil {
			return err
		}
		if row.lacks(p).externalID {
			if err := tx.releaseExternalID(ctx, id, p.ExternalID); err != nil {
				return err
			}
		}
		all, changes, err := u.fillLocked(ctx, tx, map[uint64]ImportedUser{id: p})
		if err != nil {
			return err
		}
		filled = all[id]
		return tx.record(ctx, changes...)
	})
	return filled, err
}
