package store

import (
	"context"
	"errors"
	"strings"
)

const (
	maxCountryCode = 8
	maxPhoneNumber = 32
)

// ErrPhone says that a Phone is none: a part of it is empty, too long, or holds something else than digits. Nothing was
// read or written.
var ErrPhone = errors.New("store: malformed phone number")

// BindPhone makes p the phone number of the user with this identity, and returns the user as it then stands. Another number
// is replaced. Where the number is the same, nothing is written: not even PhoneBoundAt. A user who is not active is returned
// unchanged. Several users may have one number: whether that is one person is for an administrator to say.
//
// Errors: ErrNotFound, ErrIdentity, ErrPhone, ErrUnavailable, context.Canceled; anything else is a fault of the
// installation.
func (u *Users) BindPhone(ctx context.Context, appID, openID string, p Phone) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	if !digits(p.CountryCode, maxCountryCode) || !digits(p.Number, maxPhoneNumber) {
		return User{}, ErrPhone
	}
	row, err := u.changeUser(ctx, identity{appID, openID}, func(ctx context.Context, w *profileWrites, row userRow) (userRow, error) {
		return u.bindPhone(ctx, w.direct, row, p)
	})
	if err != nil {
		return User{}, u.db.fault(ctx, "bind phone", err)
	}
	return row.user(), nil
}

// bindPhone compares and writes, as updateProfile does: the statement that writes holds only while the number is the one that
// was read and the user has not been merged away or disabled.
func (u *Users) bindPhone(ctx context.Context, d direct, row userRow, p Phone) (userRow, error) {
	if row.user().Phone == p {
		return row, nil
	}
	now := u.db.now()
	err := d.updateRows(ctx, 1, updatePhone, p.CountryCode, p.Number, now, now,
		row.ID, StatusActive, row.PhoneCountryCode, row.PhoneNumber)
	if err != nil {
		return userRow{}, err
	}
	row.PhoneCountryCode, row.PhoneNumber, row.PhoneBoundAt, row.UpdatedAt = &p.CountryCode, &p.Number, &now, now
	return row, nil
}

// digits reports whether s is one to limit decimal digits.
func digits(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
