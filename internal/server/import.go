package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/csvlist"
	"wxlogin/internal/userlist"
	"wxlogin/store"
)

// importBatch is the number of users in one transaction.
const importBatch = 500

// ImportOptions configure ImportUsers.
type ImportOptions struct {
	AppID  string // the mini-program of the openids
	DryRun bool   // count, but change nothing
	Logger *slog.Logger

	// Refused is called for each line that is refused. The reason contains nothing of the line.
	Refused func(line int, reason string)
}

// Imported counts the lines of a list, without the first.
type Imported struct {
	Created   int // users who are new here
	Filled    int // users who were known and got what was empty
	Merged    int // users who were joined with a known one by the unionid
	Unchanged int // users who have all of it
	Refused   int

	New, Known int // of a dry run: those that are not refused, by whether the openid is known
}

// Lines returns how many lines were read.
func (i Imported) Lines() int {
	return i.Created + i.Filled + i.Merged + i.Unchanged + i.Refused + i.New + i.Known
}

// ImportUsers imports a list of users. It may be repeated, and goes on where it was cut. It logs its progress.
//
// Errors: ErrListHeader and ErrMisconfigured, before a line is read; any other error ends it after the lines that it counts.
func ImportUsers(ctx context.Context, c config.Import, list io.Reader, o ImportOptions) (Imported, error) {
	reader, err := userlist.NewReader(list, time.Now())
	if err != nil {
		return Imported{}, err
	}
	im := &importer{ImportOptions: o}
	err = withUsers(ctx, c.MySQLDSN, c.TLS, o.Logger, func(users *store.Users) error {
		im.users = users
		return im.run(ctx, reader)
	})
	return im.counts, err
}

// importer is one run of ImportUsers.
type importer struct {
	ImportOptions
	users  *store.Users
	counts Imported

	people  []store.ImportedUser // of the next batch
	lines   []int                // their numbers
	refused []csvlist.LineError  // lines of this batch
}

func (im *importer) run(ctx context.Context, reader *userlist.Reader) error {
	due := progressDue()
	for ended := false; !ended; {
		user, line, err := reader.Read()
		fault, refused := errors.AsType[*csvlist.LineError](err)
		switch {
		case errors.Is(err, io.EOF):
			ended = true
		case refused:
			im.refused = append(im.refused, *fault)
		case err != nil:
			return fmt.Errorf("ended at line %d: %w", line, err)
		default:
			im.people, im.lines = append(im.people, user), append(im.lines, line)
		}
		if !ended && len(im.people)+len(im.refused) < importBatch {
			continue
		}
		if err := im.flush(ctx); err != nil {
			return fmt.Errorf("ended before line %d; run it again to go on: %w", line, err)
		}
		if due() {
			im.Logger.InfoContext(ctx, "importing", "lines", im.counts.Lines(), "created", im.counts.Created, "refused", im.counts.Refused)
		}
	}
	return nil
}

// flush imports a batch, and reports its lines that are refused in their order.
func (im *importer) flush(ctx context.Context) error {
	apply := im.apply
	if im.DryRun {
		apply = im.check
	}
	if err := apply(ctx); err != nil {
		return err
	}
	slices.SortFunc(im.refused, func(a, b csvlist.LineError) int { return a.Line - b.Line })
	for _, fault := range im.refused {
		im.counts.Refused++
		im.Refused(fault.Line, fault.Reason)
	}
	im.people, im.lines, im.refused = im.people[:0], im.lines[:0], im.refused[:0]
	return nil
}

func (im *importer) apply(ctx context.Context) error {
	results, err := im.users.Import(ctx, im.AppID, im.people)
	if err != nil {
		return err
	}
	counts := map[store.ImportOutcome]*int{
		store.ImportCreated: &im.counts.Created, store.ImportFilled: &im.counts.Filled,
		store.ImportMerged: &im.counts.Merged, store.ImportUnchanged: &im.counts.Unchanged,
	}
	for i, result := range results {
		if result.Outcome == store.ImportRefused {
			im.refuse(i, result.Err)
			continue
		}
		*counts[result.Outcome]++
	}
	return nil
}

func (im *importer) check(ctx context.Context) error {
	known, refused, err := im.users.CheckImport(ctx, im.AppID, im.people)
	if err != nil {
		return err
	}
	for i := range known {
		switch {
		case refused[i] != nil:
			im.refuse(i, refused[i])
		case known[i]:
			im.counts.Known++
		default:
			im.counts.New++
		}
	}
	return nil
}

// refuse notes that the user with this index is refused by the store.
func (im *importer) refuse(i int, err error) {
	reason := "the user with this openid was merged or erased by hand"
	switch {
	case errors.Is(err, store.ErrIdentity):
		reason = "openid or unionid is malformed"
	case errors.Is(err, store.ErrExternalID):
		reason = "external_id is not 1 to 128 printable ASCII characters"
	case errors.Is(err, store.ErrPhone):
		reason = "phone is malformed"
	case errors.Is(err, store.ErrTaken):
		reason = "another user has this external_id"
	}
	im.refused = append(im.refused, csvlist.LineError{Line: im.lines[i], Reason: reason})
}
