package server

import (
	"encoding/json"
	"io"
	"time"

	"wxlogin/store"
)

// exported is everything in the database about a user, for that person.
type exported struct {
	User        exportedUser       `json:"user"`
	Identities  []exportedIdentity `json:"identities"`
	MergedUsers []exportedUser     `json:"mergedUsers"` // earlier accounts of the same person
	Merges      []exportedMerge    `json:"merges"`
	Changes     []exportedChange   `json:"changes"`
}

type exportedUser struct {
	ID               uint64     `json:"id"`
	Status           string     `json:"status"`
	UnionID          string     `json:"unionid"`
	ExternalID       string     `json:"externalId"` // in another system
	NickName         string     `json:"nickName"`
	AvatarURL        string     `json:"avatarUrl"`
	Gender           int        `json:"gender"` // 0 unknown, 1 male, 2 female, as WeChat has it
	Country          string     `json:"country"`
	Province         string     `json:"province"`
	City             string     `json:"city"`
	Language         string     `json:"language"`
	ProfileSource    string     `json:"profileSource"` // none, wechat or person
	ProfileAsOf      *time.Time `json:"profileAsOf"`
	ProfileUpdatedAt *time.Time `json:"profileUpdatedAt"`
	PhoneNumber      string     `json:"phoneNumber"` // whole, such as +8613800138000
	PhoneBoundAt     *time.Time `json:"phoneBoundAt"`
	CreatedAt        time.Time  `json:"createdAt"`
	UpdatedAt        time.Time  `json:"updatedAt"`
	LastLoginAt      time.Time  `json:"lastLoginAt"`
	LastSeenAt       time.Time  `json:"lastSeenAt"`
}

type exportedIdentity struct {
	AppID     string    `json:"appid"`
	OpenID    string    `json:"openid"`
	CreatedAt time.Time `json:"createdAt"`
}

type exportedMerge struct {
	MergedID   uint64    `json:"mergedId"`
	SurvivorID uint64    `json:"survivorId"`
	UnionID    string    `json:"unionid"`
	AppID      string    `json:"appid"`
	At         time.Time `json:"at"`
}

type exportedChange struct {
	Seq        uint64    `json:"seq"`
	Kind       string    `json:"kind"`
	UserID     uint64    `json:"userId"`
	SurvivorID uint64    `json:"survivorId,omitempty"`
	Reason     string    `json:"reason"`
	Actor      string    `json:"actor"`
	Note       string    `json:"note"`
	At         time.Time `json:"at"`
}

// exportRecord writes a record as JSON.
func exportRecord(w io.Writer, r store.Record, address func(string) string) error {
	e := exported{
		User: exportUser(r.User, address), Identities: []exportedIdentity{}, MergedUsers: []exportedUser{},
		Merges: []exportedMerge{}, Changes: []exportedChange{},
	}
	for _, i := range r.Identities {
		e.Identities = append(e.Identities, exportedIdentity(i))
	}
	for _, u := range r.Merged {
		e.MergedUsers = append(e.MergedUsers, exportUser(u, address))
	}
	for _, m := range r.Merges {
		e.Merges = append(e.Merges, exportedMerge(m))
	}
	for _, c := range r.Changes {
		e.Changes = append(e.Changes, exportedChange{c.Seq, c.Kind, c.UserID, c.SurvivorID, c.Reason, c.Actor, c.Note, c.At})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(e)
}

func exportUser(u store.User, address func(string) string) exportedUser {
	return exportedUser{
		ID: u.ID, Status: statusName(u.Status), UnionID: u.UnionID, ExternalID: u.ExternalID,
		NickName: u.NickName, AvatarURL: address(u.AvatarURL), Gender: u.Gender,
		Country: u.Country, Province: u.Province, City: u.City, Language: u.Language,
		ProfileSource: sourceNames[u.Source], ProfileAsOf: timeOrNull(u.AsOf), ProfileUpdatedAt: timeOrNull(u.ProfileUpdatedAt),
		PhoneNumber: u.Phone.Text(), PhoneBoundAt: timeOrNull(u.PhoneBoundAt),
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, LastLoginAt: u.LastLoginAt, LastSeenAt: u.LastSeenAt,
	}
}

// timeOrNull makes the zero time null in JSON.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
