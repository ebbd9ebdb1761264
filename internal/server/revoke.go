package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"wxlogin/internal/config"
	"wxlogin/internal/csvlist"
	"wxlogin/internal/revocation"
	"wxlogin/store"
	"wxlogin/wechat/push"
)

// ErrListHeader means that a list does not begin with the names of its columns.
var ErrListHeader = csvlist.ErrHeader

// RevokeOptions configure Revoke.
type RevokeOptions struct {
	DryRun bool // count, but change nothing
	Logger *slog.Logger

	// Refused is called for each line that cannot be read. The reason contains nothing of the line.
	Refused func(line int, reason string)
}

// Revoked counts the lines of a list, without the first.
type Revoked struct {
	Applied int // what the line asks for is done, now or before
	Erased  int // of these, the lines that erase a user
	Ignored int // the line asks for nothing that is stored, or for an erase from before the user's first login
	Unknown int // there is no such user
	Refused int // the line cannot be read
}

// Lines returns how many lines were read.
func (r Revoked) Lines() int { return r.Applied + r.Ignored + r.Unknown + r.Refused }

// Revoke applies a list of users who have withdrawn a consent, line by line, as the server applies what WeChat pushes. It
// may be repeated. It logs its progress.
//
// Errors: ErrListHeader and ErrMisconfigured, before a line is read; any other error ends it after the lines that it
// counts, or means that sessions or pictures of these users are left.
func Revoke(ctx context.Context, c config.Revoke, list io.Reader, o RevokeOptions) (counts Revoked, err error) {
	reader, err := revocation.NewReader(list, c.AppIDs())
	if err != nil {
		return Revoked{}, err
	}
	r := &revoker{RevokeOptions: o}
	if o.DryRun {
		err = withUsers(ctx, c.Erase.MySQLDSN, c.Erase.TLS, o.Logger, func(users *store.Users) error {
			r.users = users
			return r.run(ctx, reader)
		})
		return r.counts, err
	}
	if r.tools, err = openErasure(ctx, c.Erase, o.Logger); err != nil {
		return Revoked{}, err
	}
	defer func() { err = errors.Join(err, r.tools.close()) }()
	r.users = r.tools.db.Users()
	err = r.run(ctx, reader)
	return r.counts, databaseError(r.tools.db, err)
}

// revoker is one run of Revoke.
type revoker struct {
	RevokeOptions
	users  *store.Users
	tools  *erasureTools // nil in a dry run
	counts Revoked

	left    int   // sessions and pictures that could not be deleted
	failure error // the last reason for that
}

func (r *revoker) run(ctx context.Context, reader *revocation.Reader) error {
	due := progressDue()
	for ctx.Err() == nil {
		event, line, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.apply(ctx, event)
		}
		if err = r.count(line, err); err != nil {
			return fmt.Errorf("ended at line %d: %w", line, err)
		}
		if due() {
			r.Logger.InfoContext(ctx, "revoking", "lines", r.counts.Lines(), "applied", r.counts.Applied, "refused", r.counts.Refused)
		}
	}
	if r.left > 0 {
		return leftError(r.left, r.failure)
	}
	return ctx.Err()
}

// count counts a line that has an error. It returns those errors that end the run.
func (r *revoker) count(line int, err error) error {
	fault, unreadable := errors.AsType[*csvlist.LineError](err)
	switch {
	case unreadable:
		r.refuse(line, fault.Reason)
	case errors.Is(err, store.ErrIdentity):
		r.refuse(line, "openid is malformed")
	case errors.Is(err, store.ErrNotFound):
		r.counts.Unknown++
	default:
		return err
	}
	return nil
}

func (r *revoker) refuse(line int, reason string) {
	r.counts.Refused++
	r.Refused(line, reason)
}

// apply does what a line asks for, unless this is a dry run, and counts it.
func (r *revoker) apply(ctx context.Context, e push.Event) error {
	known, err := r.users.Identity(ctx, e.AppID, e.OpenID)
	if err != nil {
		return err
	}
	erase := e.Event == push.AuthorizationCancelled
	removal := store.Removal{AsOf: e.CreatedAt}
	removal.NickName, removal.Avatar, removal.Phone = e.Withdrawn()
	late := erase && !e.CreatedAt.IsZero() && known.CreatedAt.After(e.Until())
	if late || !erase && !removal.NickName && !removal.Avatar && !removal.Phone {
		r.counts.Ignored++
		return nil
	}
	if r.tools != nil {
		if err := r.change(ctx, e, erase, removal); err != nil {
			return err
		}
	}
	r.counts.Applied++
	if erase {
		r.counts.Erased++
	}
	return nil
}

// change erases a user, or removes a part of it, and then what belongs to that outside of MySQL.
func (r *revoker) change(ctx context.Context, e push.Event, erase bool, removal store.Removal) (err error) {
	var user store.User
	cause := store.Cause{Reason: store.ReasonWeChat}
	if erase {
		user, err = r.users.EraseIdentity(ctx, e.AppID, e.OpenID, e.Until(), cause)
	} else {
		user, err = r.users.Remove(ctx, e.AppID, e.OpenID, removal, cause)
	}
	if err != nil {
		return err
	}
	left, failure := r.tools.workOff(ctx, user.ID)
	if failure != nil {
		r.left, r.failure = r.left+max(left, 1), failure
	}
	return nil
}
