package server

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"wxlogin/internal/terminal"
	"wxlogin/store"
)

const (
	toTheMinute = "2006-01-02 15:04"
	toTheSecond = "2006-01-02 15:04:05"

	// maxShownNickName is how many columns of a terminal a nickname takes in a table.
	maxShownNickName = 24
)

var statusNames = map[store.Status]string{
	store.StatusActive: "active", store.StatusDisabled: "disabled", store.StatusMerged: "merged", store.StatusErased: "erased",
}

// statusName is the name of a status as the views of MySQL have it.
func statusName(s store.Status) string { return cmp.Or(statusNames[s], "invalid") }

var sourceNames = map[store.ProfileSource]string{
	store.SourceNone: "none", store.SourceWeChat: "wechat", store.SourceUser: "person",
}

var genderNames = map[int]string{1: "male", 2: "female"}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// printUsers prints a table of at most maxFound users. apps has the number of mini-programs of each.
func printUsers(w io.Writer, users []store.User, apps map[uint64]int) error {
	var table terminal.Table
	table.Row("ID", "NICKNAME", "STATUS", "PROFILE", "PHONE", "APPS", "CREATED (UTC)", "LAST SEEN (UTC)")
	for _, u := range users[:min(len(users), maxFound)] {
		profile := "incomplete"
		if u.ProfileComplete() {
			profile = "complete"
		}
		table.Row(fmt.Sprint(u.ID), terminal.Truncate(terminal.Clean(u.NickName), maxShownNickName), statusName(u.Status), profile,
			yesNo(u.Phone != store.Phone{}), fmt.Sprint(apps[u.ID]), u.CreatedAt.Format(toTheMinute), u.LastSeenAt.Format(toTheMinute))
	}
	if err := table.Write(w); err != nil || len(users) <= maxFound {
		return err
	}
	_, err := fmt.Fprintf(w, "There are more than these %d.\n", maxFound)
	return err
}

// utc writes a time for people; "" if it is zero.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(toTheSecond) + " UTC"
}

// printRecord prints what is known about a user, except the phone number. asked is the id that the operator gave.
func printRecord(w io.Writer, asked uint64, r store.Record, address func(string) string) error {
	printMerged(w, asked, r.ID)
	fmt.Fprintf(w, "user %d\n", r.ID)
	if err := userTable(r, address).Write(w); err != nil {
		return err
	}
	for _, part := range []struct {
		title string
		rows  [][]string
	}{
		{"mini-programs", identityRows(r)}, {"merges", mergeRows(r)}, {"history", changeRows(r)},
	} {
		if len(part.rows) == 1 {
			continue // the header alone
		}
		table := terminal.Table{Indent: 2}
		for _, row := range part.rows {
			table.Row(row...)
		}
		fmt.Fprintf(w, "\n%s\n", part.title)
		if err := table.Write(w); err != nil {
			return err
		}
	}
	return nil
}

// userTable has a row for each thing that is known about a user.
func userTable(r store.Record, address func(string) string) *terminal.Table {
	table := &terminal.Table{Indent: 2}
	row := func(name, value string) {
		if value != "" {
			table.Row(name, value)
		}
	}
	row("status", statusName(r.Status))
	if r.Status != store.StatusErased {
		row("profile complete", yesNo(r.ProfileComplete()))
		row("profile from", sourceNames[r.Source])
		row("nickname", r.NickName)
		row("avatar", address(r.AvatarURL))
		row("gender", genderNames[r.Gender])
		row("place", strings.Join(nonEmpty(r.City, r.Province, r.Country), ", "))
		row("language", r.Language)
		row("profile as of", utc(r.AsOf))
		row("profile changed", utc(r.ProfileUpdatedAt))
		row("phone number", phoneText(r.User))
		row("unionid", r.UnionID)
		row("external id", r.ExternalID)
		row("last login", utc(r.LastLoginAt))
		row("last seen", utc(r.LastSeenAt))
	}
	row("created", utc(r.CreatedAt))
	row("changed", utc(r.UpdatedAt))
	return table
}

func nonEmpty(texts ...string) (rest []string) {
	for _, text := range texts {
		if text != "" {
			rest = append(rest, text)
		}
	}
	return rest
}

// phoneText says whether a phone number is bound, of which country and since when.
func phoneText(u store.User) string {
	if u.Phone == (store.Phone{}) {
		return "none"
	}
	return "bound " + utc(u.PhoneBoundAt) + ", country code " + u.Phone.CountryCode
}

func identityRows(r store.Record) [][]string {
	rows := [][]string{{"APPID", "OPENID", "SINCE (UTC)"}}
	for _, i := range r.Identities {
		rows = append(rows, []string{i.AppID, i.OpenID, i.CreatedAt.Format(toTheSecond)})
	}
	return rows
}

func mergeRows(r store.Record) [][]string {
	rows := [][]string{{"TIME (UTC)", "USER", "INTO", "APPID", "UNIONID"}}
	for _, m := range r.Merges {
		rows = append(rows, []string{m.At.Format(toTheSecond), fmt.Sprint(m.MergedID), fmt.Sprint(m.SurvivorID), m.AppID, m.UnionID})
	}
	return rows
}

func changeRows(r store.Record) [][]string {
	rows := [][]string{{"TIME (UTC)", "CHANGE", "USER", "REASON", "BY", "NOTE"}}
	for _, c := range r.Changes {
		rows = append(rows, []string{c.At.Format(toTheSecond), c.Kind, fmt.Sprint(c.UserID), c.Reason, c.Actor, c.Note})
	}
	return rows
}
