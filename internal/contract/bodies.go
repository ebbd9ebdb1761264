package contract

import (
	"net/http"
	"strings"
)

// TokenLength is how many characters a token has.
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

// Login is what POST /onLogin answers.
type Login struct {
	Status          int      `json:"status"`
	Token           string   `json:"token"`
	ExpiresIn       int64    `json:"expiresIn"` // seconds without use
	IsNewUser       bool     `json:"isNewUser"`
	ProfileComplete bool     `json:"profileComplete"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound
	UserInfo        UserInfo `json:"userInfo"`
}

// Update is what POST /updateUserInfo answers.
type Update struct {
	Status          int      `json:"status"`
	ProfileComplete bool     `json:"profileComplete"`
	Anonymous       bool     `json:"anonymous"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound
	UserInfo        UserInfo `json:"userInfo"`
}

// User is what GET /userInfo answers.
type User struct {
	Status          int      `json:"status"`
	ProfileComplete bool     `json:"profileComplete"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound
	UserInfo        UserInfo `json:"userInfo"`
}

// fields are those of the public routes' answers. That one was not there shows only in a pointer.
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

// profileOf reads what all answers with a profile have in common.
func profileOf(f fields) (info UserInfo, err error) {
	switch {
	case f.Status == nil || f.ProfileComplete == nil || f.PhoneNumber == nil || !f.UserInfo.whole():
		return UserInfo{}, errMissing
	case *f.PhoneNumber != "" && !strings.Contains(*f.PhoneNumber, "*"):
		return UserInfo{}, Breach("a phone number that is not masked")
	case *f.Status != http.StatusOK:
		return UserInfo{}, Breach("200 with another status inside")
	}
	info = f.UserInfo.userInfo()
	if *f.ProfileComplete != (info.NickName != "" && info.AvatarURL != "") {
		return UserInfo{}, Breach("a profile that is called complete and is not, or the other way round")
	}
	return info, nil
}

// ReadLogin reads the answer 200 to the login of that id. Its error is a Breach.
func ReadLogin(a Answer, requestID string) (Login, error) {
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
		return Login{}, Breach("a login without a proper token")
	}
	return Login{*f.Status, *f.Token, *f.ExpiresIn, *f.IsNewUser, *f.ProfileComplete, *f.PhoneNumber, info}, nil
}

// ReadUpdate reads the answer 200 to the update of that id. Its error is a Breach.
func ReadUpdate(a Answer, requestID string) (Update, error) {
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

// ReadUser reads the answer 200 to the GET /userInfo of that id. Its error is a Breach.
func ReadUser(a Answer, requestID string) (User, error) {
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

// ReadLogout reads the answer 200 to the logout of that id. Its error is a Breach.
func ReadLogout(a Answer, requestID string) error {
	var f struct {
		Status *int `json:"status"`
	}
	if err := success(a, requestID, &f); err != nil {
		return err
	}
	if f.Status == nil || *f.Status != http.StatusOK {
		return Breach("200 with another status inside")
	}
	return nil
}
