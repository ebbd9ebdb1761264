package player

import (
	"net/http"
	"time"
)

// Wrong is a way in which a response contradicts docs/api.md or what is known of a user.
type Wrong string

const (
	OutsideContract   Wrong = "outside_contract"    // not what docs/api.md says of status, type, body, request id, code and action
	OthersProfile     Wrong = "others_profile"      // a profile that this user never had
	StaleProfile      Wrong = "stale_profile"       // an earlier one of this user, or not what was just sent
	NewTwice          Wrong = "new_twice"           // isNewUser of a known user
	OtherIdentity     Wrong = "other_identity"      // an introspection with another user or mini-program
	ActiveAfterLogout Wrong = "active_after_logout" // a token that works after its logout
)

// Verdict is what a response turned out to be: a success, an error or wrong.
type Verdict struct {
	Code       string // of an error: a problem's, or a Reply's failure; "" otherwise
	Action     string // what the error advises
	RetryAfter int    // seconds

	Wrong Wrong  // "" unless the response is wrong
	Why   string // constant text
}

func wrong(kind Wrong, why string) Verdict { return Verdict{Wrong: kind, Why: why} }

// OK reports whether the request succeeded.
func (v Verdict) OK() bool { return v.Code == "" && v.Wrong == "" }

// uncertain reports whether the server may have done what was requested, or may still do it.
func (v Verdict) uncertain(r Reply) bool {
	if r.Failure != "" {
		return r.Failure != Refused
	}
	return v.Wrong != "" || v.Code != "" && r.Status >= http.StatusInternalServerError
}

// User is a user with one device, and all that is known of the user's state at the server.
type User struct {
	Name      string
	WaitUntil time.Time // as the last error advised

	openID   string // "" before the simulator was asked for it
	subject  string // sub and client_id of introspections; "" before they are known
	clientID string

	seen     bool // has logged in, in this run
	revision int  // of the newest nickname
	profiles profiles

	token   string        // "" if a login must come first
	life    time.Duration // of the token, without use
	expires time.Time
	ended   string // a token after its logout, which was not yet checked to be invalid
}

// NewUser returns a user whom the server may know from an earlier run. The appid may be empty.
func NewUser(name, appID string) *User {
	return &User{Name: name, clientID: appID, profiles: profiles{anyOwn: true}}
}

// NewNewcomer returns a user whom the server has never seen.
func NewNewcomer(name, appID string) *User {
	u := NewUser(name, appID)
	u.profiles.reset(Profile{})
	return u
}

// LoggedIn reports whether there is a token that should be valid.
func (u *User) LoggedIn(now time.Time) bool { return u.token != "" && now.Before(u.expires) }

// Forget gives up the token.
func (u *User) Forget() { u.token = "" }

// LoggedOut reports whether there is a token to check after its logout.
func (u *User) LoggedOut() bool { return u.ended != "" }

// used extends the token's life, as the server did.
func (u *User) used(now time.Time) { u.expires = now.Add(u.life) }

// Read returns the body of a success; otherwise the verdict is not OK.
func (r Reply) Read(route Route) (Body, Verdict) {
	if r.Failure != "" {
		return Body{}, Verdict{Code: r.Failure, Action: None}
	}
	if r.Status != http.StatusOK {
		p, err := r.ReadProblem(r.ID)
		if err != nil {
			return Body{}, wrong(OutsideContract, err.Error())
		}
		return Body{}, Verdict{Code: p.Code, Action: p.Action, RetryAfter: p.RetryAfter}
	}
	b, err := r.ReadBody(route, r.ID)
	if err != nil {
		return Body{}, wrong(OutsideContract, err.Error())
	}
	return b, Verdict{}
}

// onLogin checks a login, and keeps its session.
func (u *User) onLogin(r Reply) Verdict {
	b, v := r.Read(Login)
	if !v.OK() {
		return v
	}
	known := u.seen
	u.seen = true
	u.token, u.life = b.Token, time.Duration(b.ExpiresIn)*time.Second
	u.used(r.Ended)
	if b.IsNewUser && known {
		return wrong(NewTwice, "isNewUser of a user who has logged in before")
	}
	v = u.shows(b.UserInfo)
	if !known && v.OK() && u.profiles.anyOwn {
		u.profiles.reset(b.UserInfo)
		_, u.revision, _ = ReadNickname(b.UserInfo.NickName)
	}
	return v
}

// onUpdate checks an update with data. changes is false if the data should change nothing.
func (u *User) onUpdate(r Reply, data Sealed, changes bool) Verdict {
	b, v := r.Read(Update)
	if v.OK() {
		v = u.updated(b, r, data)
	}
	if v.OK() {
		u.profiles.acknowledge(data, changes)
	} else if v.uncertain(r) {
		u.profiles.markUncertain(data)
	}
	return v
}

func (u *User) updated(b Body, r Reply, data Sealed) Verdict {
	switch {
	case b.UserInfo == data.UserInfo && b.Anonymous:
		return wrong(OutsideContract, "a real profile that is called anonymous")
	case b.UserInfo == data.UserInfo:
		u.used(r.Ended)
		return Verdict{}
	case isOwn(u.Name, b.UserInfo):
		return wrong(StaleProfile, "an update does not answer what was sent")
	}
	return wrong(OthersProfile, "an update answers another profile than was sent")
}

// onRead checks a GET /userInfo.
func (u *User) onRead(r Reply) Verdict {
	b, v := r.Read(ReadUser)
	if !v.OK() {
		return v
	}
	u.used(r.Ended)
	return u.shows(b.UserInfo)
}

// shows checks a profile in a response.
func (u *User) shows(p Profile) Verdict {
	switch {
	case u.profiles.allow(u.Name, p):
		return Verdict{}
	case isOwn(u.Name, p):
		return wrong(StaleProfile, "the profile is not the one that was written last")
	}
	return wrong(OthersProfile, "the profile is none that this user ever had")
}

// onIntrospect checks an introspection. A token that Redis has lost is inactive: that is an error, like a 401.
func (u *User) onIntrospect(r Reply) Verdict {
	b, v := r.Read(Introspect)
	switch {
	case !v.OK():
		return v
	case !b.Active:
		return Verdict{Code: "invalid_token", Action: Relogin}
	case b.OpenID != u.openID:
		return wrong(OtherIdentity, "an introspection with another openid")
	case b.UnionID != "":
		return wrong(OtherIdentity, "an introspection with a unionid of a user who has none")
	case u.clientID != "" && b.ClientID != u.clientID:
		return wrong(OtherIdentity, "an introspection with another client_id")
	case u.subject != "" && b.Subject != u.subject:
		return wrong(OtherIdentity, "an introspection with another sub than before")
	}
	u.subject, u.clientID = b.Subject, b.ClientID
	u.used(r.Ended)
	return Verdict{}
}

// onLogout checks a logout. Whatever came of it, the token is not used again.
func (u *User) onLogout(r Reply) Verdict {
	token := u.token
	u.Forget()
	_, v := r.Read(Logout)
	if v.OK() {
		u.ended = token
	}
	return v
}

// onEnded checks a token after its logout, by an introspection or GET /userInfo. That it is refused is no error.
func (u *User) onEnded(route Route, r Reply) Verdict {
	b, v := r.Read(route)
	refused := v.Code == "invalid_token" && route == ReadUser
	if !refused && r.Status != http.StatusOK {
		return v // it is checked again
	}
	u.ended = ""
	switch {
	case refused:
		return Verdict{}
	case b.Active || route == ReadUser:
		return wrong(ActiveAfterLogout, "a token is accepted after its logout")
	}
	return v
}
