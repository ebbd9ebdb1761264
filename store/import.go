package store

import (
	"context"
	"slices"
	"time"
)

// ImportedUser is a user of another system. What is "" or zero is not known.
type ImportedUser struct {
	OpenID     string
	UnionID    string
	ExternalID string
	NickName   string // no placeholder, see User.ProfileComplete
	AvatarURL  string
	Phone      Phone
	CreatedAt  time.Time // not in the future
}

// ImportOutcome is what an import has done with a user.
type ImportOutcome int

// Of several outcomes the last one counts.
const (
	ImportRefused   ImportOutcome = iota // see ImportResult.Err
	ImportUnchanged                      // the user has all of it, or newer data
	ImportFilled                         // the user has got what was empty
	ImportMerged                         // by the unionid: the identity is linked to a user, or two users are merged
	ImportCreated
)

// ImportResult is the result for one ImportedUser.
type ImportResult struct {
	Outcome ImportOutcome

	// Err says why the user is refused: ErrIdentity, ErrExternalID, ErrPhone, ErrTaken, or ErrNotFound if the identity is
	// of a user that a manual edit has taken out of service.
	Err error
}

// importAttempts is how often a batch is tried before its users are imported one by one.
const importAttempts = 3

// importCause is the cause of changes by an import.
var importCause = Cause{Reason: ReasonAdmin, Actor: "wxlogin import"}

// Import imports users of one mini-program, at best some hundreds at a time, and returns a result for each.
//
//   - A user whose identity is not known is created, without a login: last_login_at is created_at, last_seen_at is before it, and
//     login_days does not count it. A unionid that a user has links the identity to that user, as in a login.
//   - A user whose identity is known gets what is empty. What is filled stays, and so does what was removed: see
//     userRow.fill. Unionids merge users as in a login.
//   - An external id that another user has refuses the user as a whole.
//
// The second time it changes nothing. If it is cut off, it may be repeated. Users that need no merge are written in one
// transaction. Logins and updates may run at the same time.
//
// Errors: ErrIdentity if the appid is malformed, ErrUnavailable, context.Canceled; any other error is a defect of the
// installation. After an error, some of the users may be imported.
func (u *Users) Import(ctx context.Context, appID string, people []ImportedUser) ([]ImportResult, error) {
	im, err := u.newImport(appID, people)
	if err != nil {
		return nil, err
	}
	return im.results, u.db.wrapError(ctx, "import", im.run(ctx))
}

// CheckImport returns what Import would refuse, without writing anything. known reports for each of the others whether the
// identity is known. Errors: as Import.
func (u *Users) CheckImport(ctx context.Context, appID string, people []ImportedUser) (known []bool, refused []error, err error) {
	im, err := u.newImport(appID, people)
	if err != nil {
		return nil, nil, err
	}
	known, refused = make([]bool, len(people)), make([]error, len(people))
	err = retry(ctx, func() error { return im.look(ctx) })
	for i, p := range im.people {
		if refused[i] = im.results[i].Err; refused[i] != nil || err != nil {
			continue
		}
		row, identified := im.found.byOpenID[p.OpenID]
		if _, taken := im.found.byExternalID[p.ExternalID]; !taken {
			p.ExternalID = "" // nothing to look up
		}
		known[i] = identified
		refused[i], err = u.db.queries.importable(ctx, p, row, im.found.byUnionID[p.UnionID])
	}
	return known, refused, u.db.wrapError(ctx, "check import", err)
}

// userImport is one call of Import.
type userImport struct {
	users   *Users
	appID   string
	people  []ImportedUser
	results []ImportResult
	found   foundForImport
}

// newImport refuses users whose values are malformed.
func (u *Users) newImport(appID string, people []ImportedUser) (*userImport, error) {
	if appID == "" || !isPrintable(appID, maxAppID) {
		return nil, ErrIdentity
	}
	im := &userImport{users: u, appID: appID, people: slices.Clone(people), results: make([]ImportResult, len(people))}
	for i := range im.people {
		p := &im.people[i]
		profile := Profile{NickName: p.NickName, AvatarURL: p.AvatarURL}.truncated()
		p.NickName, p.AvatarURL = profile.NickName, profile.AvatarURL
		p.CreatedAt = p.CreatedAt.UTC().Truncate(time.Millisecond)
		im.results[i].Err = p.validate(appID)
	}
	return im, nil
}

func (p ImportedUser) validate(appID string) error {
	switch {
	case p.ExternalID != "" && !ValidExternalID(p.ExternalID):
		return ErrExternalID
	case p.Phone != (Phone{}) && (!isDigits(p.Phone.CountryCode, maxCountryCode) || !isDigits(p.Phone.Number, maxPhoneNumber)):
		return ErrPhone
	}
	return p.identity(appID).validate()
}

func (p ImportedUser) identity(appID string) Identity { return Identity{appID, p.OpenID, p.UnionID} }

// run imports most users in one transaction, and the rest one by one.
func (im *userImport) run(ctx context.Context) error {
	var plan importPlan
	err := im.batch(ctx, &plan)
	for attempt := 1; retryable(err) && attempt < importAttempts; attempt++ {
		if err = sleepJitter(ctx, attempt); err == nil {
			err = im.batch(ctx, &plan)
		}
	}
	if err != nil && !retryable(err) {
		return err
	}
	rest := plan.rest
	if err != nil { // logins keep inserting some of them
		rest = im.valid()
	}
	for _, i := range rest {
		if err := im.single(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// valid returns the indexes of the users that are not refused.
func (im *userImport) valid() (all []int) {
	for i, result := range im.results {
		if result.Err == nil {
			all = append(all, i)
		}
	}
	return all
}

// batch imports the users that the plan can create and fill, in one transaction.
func (im *userImport) batch(ctx context.Context, plan *importPlan) error {
	if err := im.look(ctx); err != nil {
		return err
	}
	*plan = im.plan()
	if len(plan.create)+len(plan.fill) > 0 {
		err := im.users.db.transaction(ctx, func(tx queries) error { return im.write(ctx, tx, *plan) })
		if err != nil {
			return err
		}
	}
	for _, i := range plan.create {
		im.results[i].Outcome = ImportCreated
	}
	for _, i := range plan.unchanged {
		im.results[i].Outcome = ImportUnchanged
	}
	return nil
}

// write is the transaction of a plan. It sets the outcome of those that it fills.
func (im *userImport) write(ctx context.Context, tx queries, plan importPlan) error {
	targets := make(map[uint64]ImportedUser, len(plan.fill))
	for _, i := range plan.fill {
		targets[im.found.byOpenID[im.people[i].OpenID].ID] = im.people[i]
	}
	filled, changes, err := im.users.fillLocked(ctx, tx, targets)
	if err != nil {
		return err
	}
	for _, i := range plan.fill {
		im.results[i].Outcome = ImportUnchanged
		if filled[im.found.byOpenID[im.people[i].OpenID].ID] {
			im.results[i].Outcome = ImportFilled
		}
	}
	people := make([]ImportedUser, len(plan.create))
	for n, i := range plan.create {
		people[n] = im.people[i]
	}
	if err := im.users.createImported(ctx, tx, im.appID, people); err != nil {
		return err
	}
	return tx.record(ctx, changes...)
}
