package store

import (
	"context"
	"errors"
	"slices"
)

// foundForImport are the users that a batch could concern.
type foundForImport struct {
	byOpenID     map[string]userRow // the users of known identities; the zero row if that user is missing
	byUnionID    map[string]userRow
	byExternalID map[string]userRow
}

// look reads the users that the batch could concern. It does not look up what the users of the identities have already.
func (im *userImport) look(ctx context.Context) (err error) {
	q := im.users.db.queries
	var openIDs, unionIDs, externalIDs []string
	for _, i := range im.valid() {
		openIDs = append(openIDs, im.people[i].OpenID)
	}
	if im.found.byOpenID, err = q.usersByOpenID(ctx, im.appID, openIDs); err != nil {
		return err
	}
	for _, i := range im.valid() {
		p := im.people[i]
		row := im.found.byOpenID[p.OpenID]
		if p.UnionID != "" && row.UnionID == nil {
			unionIDs = append(unionIDs, p.UnionID)
		}
		if p.ExternalID != "" && row.ExternalID == nil {
			externalIDs = append(externalIDs, p.ExternalID)
		}
	}
	im.found.byUnionID, err = usersBy(ctx, q, "unionid", unionIDs, func(r userRow) string { return deref(r.UnionID) })
	if err != nil {
		return err
	}
	im.found.byExternalID, err = usersBy(ctx, q, "external_id", externalIDs, func(r userRow) string { return deref(r.ExternalID) })
	return err
}

// usersByOpenID returns the users of those identities that are known.
func (q queries) usersByOpenID(ctx context.Context, appID string, openIDs []string) (map[string]userRow, error) {
	users := make(map[string]userRow, len(openIDs))
	if len(openIDs) == 0 {
		return users, nil
	}
	var identities []identityRow
	err := q.gorm(ctx).Where("openid IN ? AND appid = ?", openIDs, appID).Limit(len(openIDs)).Find(&identities).Error
	if err != nil {
		return nil, err
	}
	ids := make([]uint64, len(identities))
	for i, identity := range identities {
		ids[i] = identity.UserID
	}
	byID, err := usersBy(ctx, q, "id", ids, func(r userRow) uint64 { return r.ID })
	for _, identity := range identities {
		users[identity.OpenID] = byID[identity.UserID]
	}
	return users, err
}

// usersBy returns the users that have one of the values in a unique column, by that value.
func usersBy[T comparable](ctx context.Context, q queries, column string, values []T, of func(userRow) T) (map[T]userRow, error) {
	if len(values) == 0 {
		return nil, nil
	}
	var rows []userRow
	if err := q.gorm(ctx).Where(column+" IN ?", values).Limit(len(values)).Find(&rows).Error; err != nil {
		return nil, err
	}
	users := make(map[T]userRow, len(rows))
	for _, row := range rows {
		users[of(row)] = row
	}
	return users, nil
}

// importPlan says what to do with the users of a batch, by their indexes.
type importPlan struct {
	create, fill, unchanged []int
	rest                    []int // to be imported one by one, in this order
}

// plan sorts the users. Those that could concern a user of the plan already, such as a second line for an openid, are left
// for later.
func (im *userImport) plan() (plan importPlan) {
	type key struct{ column, value string }
	seen, filled := map[key]bool{}, map[uint64]bool{}
	for _, i := range im.valid() {
		p := im.people[i]
		keys := []key{{"openid", p.OpenID}, {"unionid", p.UnionID}, {"external_id", p.ExternalID}}
		later := slices.ContainsFunc(keys, func(k key) bool { return seen[k] })
		for _, k := range keys {
			seen[k] = k.value != ""
		}
		row, known := im.found.byOpenID[p.OpenID]
		_, holder := im.found.byUnionID[p.UnionID]
		_, taken := im.found.byExternalID[p.ExternalID]
		switch {
		case later || !known && (holder || taken):
			plan.rest = append(plan.rest, i)
		case !known:
			plan.create = append(plan.create, i)
		case !row.importable() || p.UnionID != "" && row.UnionID == nil || filled[row.ID]:
			plan.rest = append(plan.rest, i)
		case row.lacks(p).none():
			plan.unchanged = append(plan.unchanged, i)
		case row.lacks(p).externalID && taken:
			plan.rest = append(plan.rest, i)
		default:
			plan.fill, filled[row.ID] = append(plan.fill, i), true
		}
	}
	return plan
}

// importable reports whether the row is that of a user, not of one that was merged or erased, or missing.
func (r userRow) importable() bool { return r.Status == StatusActive || r.Status == StatusDisabled }

// importable returns why a user is refused. row is the user with its identity and holder the one with its unionid; either
// may be zero.
func (q queries) importable(ctx context.Context, p ImportedUser, row, holder userRow) (refused, err error) {
	if row.ID != 0 && !row.importable() {
		return ErrNotFound, nil
	}
	if row.ExternalID != nil {
		return nil, nil // it stays
	}
	_, survivor, err := q.externalIDHolder(ctx, p.ExternalID)
	if errors.Is(err, ErrNotFound) || err == nil && survivor != 0 && survivor != row.ID && survivor != holder.ID {
		return ErrTaken, nil
	}
	return nil, err
}
