package contract

import (
	"net/http"
	"strings"
)

// TokenLength is the length of a token in characters.
const TokenLength = 43

// UserInfo is a profile under WeChat's names.
type UserInfo struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"`
	Country   string `json:"country"`
	Province  string `json:"province"`
	City      string `json:"city"`
	Language  string `json:"language"`
}

// Login is the response of POST /onLogin.
type Login struct {
	Status          int      `json:"status"`
	Token           string   `json:"token"`
	ExpiresIn       int64    `json:"expiresIn"` // seconds without use
	IsNewUser       bool     `json:"isNewUser"`
	ProfileComplete bool     `json:"profileComplete"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound
	UserInfo        UserInfo `json:"userInfo"`
}

// Update is the response of POST /updateUserInfo.
type Update struct {
	Status          int      `json:"status"`
	ProfileComplete bool     `json:"profileComplete"`
	Anonymous       bool     `json:"anonymous"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound
	UserInfo        UserInfo `json:"userInfo"`
}

// User is the response of GET /userInfo.
type User struct {
	Status          int      `json:"status"`
	ProfileComplete bool     `json:"profileComplete"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound
	UserInfo        UserInfo `json:"userInfo"`
}

// fields are the fields of all public routes' responses. They are pointers, so that a missing field is nil.
type fields struct {
	Status          *int           `json:"status"`
	Token           *string        `json:"token"`
	ExpiresIn       *int64         `json:"expiresIn"`
	IsNewUser       *bool          `json:"isNewUser"`
	ProfileComplete *bool          `json:"profileComplete"`
	PhoneNumber     *string        `json:"phoneNumber"`
	Anonymous       *bool          `json:"anonymous"`
	UserInfo        *profileFields `json:"userInfo"`
}

type profileFields struct {
	NickName  *string `json:"nickName"`
	AvatarURL *string `json:"avatarUrl"`
	Gender    *int    `json:"gender"`
	Country   *string `json:"country"`
	Province  *string `json:"province"`
	City      *string `json:"city"`
	Language  *string `json:"language"`
}

func (f *profileFields) whole() bool {
	return f != nil && f.NickName != nil && f.AvatarURL != nil && f.Gender != nil &&
		f.Country != nil && f.Province != nil && f.City != nil && f.Language != nil
}

func (f *profileFields) userInfo() UserInfo {
	return UserInfo{*f.NickName, *f.AvatarURL, *f.Gender, *f.Country, *f.Province, *f.City, *f.Language}
}

// profileOf checks the fields that all responses with a profile share.
func profileOf(f fields) (info UserInfo, err error) {
	switch {
	case f.Status == nil || f.ProfileComplete == nil || f.PhoneNumber == nil || !f.UserInfo.whole():
		return UserInfo{}, errMissing
	case *f.PhoneNumber != "" && !strings.Contains(*f.PhoneNumber, "*"):
		return UserInfo{}, Violation("a phone number that is not masked")
	case *f.Status != http.StatusOK:
		return UserInfo{}, Violation("200 with another status inside")
	}
	info = f.UserInfo.userInfo()
	if *f.ProfileComplete != (info.NickName != "" && info.AvatarURL != "") {
		return UserInfo{}, Violation("a profile that is called complete and is not, or the other way round")
	}
	return info, nil
}

// ReadLogin reads the response with status 200 to the login with the given request id. Its error is a Violation.
func ReadLogin(a Response, requestID string) (Login, error) {
	var f fields
	if err := success(a, requestID, &f); err != nil {
		return Login{}, err
	}
	info, err := profileOf(f)
	switch {
	case err != nil:
		return Login{}, err
	case f.Token == nil || f.ExpiresIn == nil || f.IsNewUser == nil:
		return Login{}, errMissing
	case f.Anonymous != nil:
		return Login{}, errUnknownField
	case len(*f.Token) != TokenLength || *f.ExpiresIn <= 0:
		return Login{}, Violation("a login without a proper token")
	}
	return Login{*f.Status, *f.Token, *f.ExpiresIn, *f.IsNewUser, *f.ProfileComplete, *f.PhoneNumber, info}, nil
}

// ReadUpdate reads the response with status 200 to the update with the given request id. Its error is a Violation.
func ReadUpdate(a Response, requestID string) (Update, error) {
	var f fields
	if err := success(a, requestID, &f); err != nil {
		return Update{}, err
	}
	info, err := profileOf(f)
	switch {
	case err != nil:
		return Update{}, err
	case f.Anonymous == nil:
		return Update{}, errMissing
	case f.Token != nil || f.ExpiresIn != nil || f.IsNewUser != nil:
		return Update{}, errUnknownField
	}
	return Update{*f.Status, *f.ProfileComplete, *f.Anonymous, *f.PhoneNumber, info}, nil
}

// ReadUser reads the response with status 200 to the GET /userInfo with the given request id. Its error is a Violation.
func ReadUser(a Response, requestID string) (User, error) {
	var f fields
	if err := success(a, requestID, &f); err != nil {
		return User{}, err
	}
	info, err := profileOf(f)
	switch {
	case err != nil:
		return User{}, err
	case f.Token != nil || f.ExpiresIn != nil || f.IsNewUser != nil || f.Anonymous != nil:
		return User{}, errUnknownField
	}
	return User{*f.Status, *f.ProfileComplete, *f.PhoneNumber, info}, nil
}

// ReadLogout reads the response with status 200 to the logout with the given request id. Its error is a Violation.
func ReadLogout(a Response, requestID string) error {
	var f struct {
		Status *int `json:"status"`
	}
	if err := success(a, requestID, &f); err != nil {
		return err
	}
	if f.Status == nil || *f.Status != http.StatusOK {
		return Violation("200 with another status inside")
	}
	return nil
}

// Introspection is the response of POST /introspect (RFC 7662, section 2.2).
type Introspection struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type,omitempty"`
	Subject   string `json:"sub,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"` // seconds of Unix time, as IssuedAt
	IssuedAt  int64  `json:"iat,omitempty"`
	OpenID    string `json:"openid,omitempty"`
	UnionID   string `json:"unionid,omitempty"` // "" if none is known
}

// ReadIntrospection reads the response with status 200 to the introspection with the given request id. Its error is a Violation.
func ReadIntrospection(a Response, requestID string) (Introspection, error) {
	var f struct {
		Active *bool `json:"active"` // before the field of the same name below
		Introspection
	}
	if err := success(a, requestID, &f); err != nil {
		return Introspection{}, err
	}
	if f.Active == nil {
		return Introspection{}, errMissing
	}
	b := f.Introspection
	switch {
	case !*f.Active && b != Introspection{}:
		return Introspection{}, Violation("an inactive token of which something is told")
	case !*f.Active:
		return b, nil
	case b.Subject == "" || b.ClientID == "" || b.OpenID == "":
		return Introspection{}, errMissing
	case b.TokenType != "Bearer" || b.IssuedAt <= 0 || b.ExpiresAt <= b.IssuedAt:
		return Introspection{}, Violation("an active token without a proper life")
	}
	b.Active = true
	return b, nil
}
