package player

import (
	"slices"
	"strconv"
	"strings"
)

// Profile is a user's profile under WeChat's names.
type Profile struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"`
	Country   string `json:"country"`
	Province  string `json:"province"`
	City      string `json:"city"`
	Language  string `json:"language"`
}

// Nickname says which user it belongs to, and which of that user's nicknames it is: "w7-12 r3".
func Nickname(user string, revision int) string { return user + " r" + strconv.Itoa(revision) }

// ReadNickname reads what Nickname has made. The nickname of a user who has not chosen one is empty: revision 0 of no user.
func ReadNickname(s string) (user string, revision int, ok bool) {
	if s == "" {
		return "", 0, true
	}
	user, text, _ := strings.Cut(s, " r")
	revision, err := strconv.Atoi(text)
	return user, revision, err == nil && revision >= 0 && Nickname(user, revision) == s && user != ""
}

// isOwn reports whether a profile is one that this program made for a user, or empty.
func isOwn(user string, p Profile) bool {
	owner, _, ok := ReadNickname(p.NickName)
	return ok && owner == user || p == Profile{}
}

// maxPossible is how many profiles of a user may be possible at once; beyond that, any of the user's own is.
const maxPossible = 8

// profiles are those that a user's responses may show: the one that was acknowledged last, and those of later updates whose
// outcome is unknown, because the connection was cut or the response was a 5xx.
type profiles struct {
	anyOwn   bool // not seen yet in this run, or too many updates with an unknown outcome
	possible []possibleProfile
}

type possibleProfile struct {
	profile   Profile
	sealed    int64 // the end of its Watermark
	uncertain bool
}

// allow reports whether a response may show a profile.
func (p *profiles) allow(user string, shown Profile) bool {
	possible := slices.ContainsFunc(p.possible, func(one possibleProfile) bool { return one.profile == shown })
	return possible || p.anyOwn && isOwn(user, shown)
}

// reset sets the only possible profile.
func (p *profiles) reset(only Profile) { *p = profiles{possible: []possibleProfile{{profile: only}}} }

// acknowledge notes an update that succeeded. If it was meant to change something, the server accepts nothing after it that was
// sealed in an earlier second, so an uncertain update stays possible only if it is not certainly older. (The second more is for two
// clocks that differ.) Otherwise the server keeps the watermark that it has, and an earlier uncertain update may still win.
func (p *profiles) acknowledge(data Sealed, changes bool) {
	p.possible = slices.DeleteFunc(p.possible, func(one possibleProfile) bool {
		return !one.uncertain || changes && one.sealed < data.Watermark.From-1
	})
	p.possible = append(p.possible, possibleProfile{profile: data.UserInfo, sealed: data.Watermark.To})
	p.anyOwn = p.anyOwn && !changes
}

// markUncertain notes an update that may or may not have been done, or may be done in a moment.
func (p *profiles) markUncertain(data Sealed) {
	if len(p.possible) >= maxPossible {
		p.anyOwn, p.possible = true, nil
		return
	}
	p.possible = append(p.possible, possibleProfile{data.UserInfo, data.Watermark.To, true})
}

// last returns the newest certain profile, or else the newest; an empty one if nothing is known.
func (p *profiles) last() (last Profile) {
	for _, one := range p.possible {
		if last = one.profile; !one.uncertain {
			break
		}
	}
	return last
}
