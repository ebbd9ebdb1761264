package store

import "context"

// avatarChunk is how many users AvatarURLs reads at a time.
const avatarChunk = 1000

const selectAvatars = "SELECT id, avatar_url FROM users WHERE id > ? ORDER BY id LIMIT ?"

// AvatarURLs calls yield with the avatar_url of every user that has one, whatever the user's status, in the order of ids. It
// reads in chunks by primary key: memory stays constant, and neither a connection nor a transaction is held while yield
// runs. A value that is written during the walk may be missed.
//
// It stops at the first error of yield and returns it unchanged. Other errors: ErrUnavailable, context.Canceled; anything
// else is a fault of the installation.
func (u *Users) AvatarURLs(ctx context.Context, yield func(avatarURL string) error) error {
	var last uint64
	for {
		rows, err := u.avatarsAfter(ctx, last)
		if err != nil {
			return u.db.fault(ctx, "avatar urls", err)
		}
		for _, row := range rows {
			last = row.ID
			if row.AvatarURL == "" {
				continue
			}
			if err := yield(row.AvatarURL); err != nil {
				return err
			}
		}
		if len(rows) < avatarChunk {
			return nil
		}
	}
}

// avatarsAfter reads one chunk: id and avatar_url alone.
func (u *Users) avatarsAfter(ctx context.Context, id uint64) ([]userRow, error) {
	result, err := u.db.sql.QueryContext(ctx, selectAvatars, id, avatarChunk)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var rows []userRow
	for result.Next() {
		var row userRow
		if err := result.Scan(&row.ID, &row.AvatarURL); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, result.Err()
}

// Exist reports whether there is any user, of whatever status. Errors: ErrUnavailable, context.Canceled; anything else is a fault
// of the installation.
func (u *Users) Exist(ctx context.Context) (bool, error) {
	var exist bool
	err := u.db.sql.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM users)").Scan(&exist)
	return exist, u.db.fault(ctx, "users exist", err)
}
