package handlers

import (
	"context"
	"net/http"
	"strings"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// phoneAnswer is what POST /bindPhone answers.
type phoneAnswer struct {
	Status      int    `json:"status"`
	PhoneNumber string `json:"phoneNumber"` // masked
	CountryCode string `json:"countryCode"`
}

// bindPhone stores the phone number of the user whose token it is.
func (p *public) bindPhone(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	sess, err := p.updatedSession(r.Context(), r, f)
	if err != nil {
		return err
	}
	if _, err := p.userOf(r.Context(), sess); err != nil { // before a code or a guess is spent on a disabled user
		return err
	}
	number, err := p.givenPhone(r.Context(), sess, f)
	if err != nil {
		return err
	}
	user, err := p.savePhone(r.Context(), sess, store.Phone(number))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, phoneAnswer{
		Status: http.StatusOK, PhoneNumber: maskPhone(user.Phone.Number), CountryCode: user.Phone.CountryCode,
	})
}

// givenPhone is the number behind the code of the phone button, or else in what WeChat encrypted. Mini-programs get both
// from one button; the code is taken then, because WeChat itself tells whose number that is.
func (p *public) givenPhone(ctx context.Context, sess session.Session, f request.Fields) (wechat.PhoneNumber, error) {
	if code := f["code"]; code != "" {
		if err := checkCode(code); err != nil {
			return wechat.PhoneNumber{}, err
		}
		return p.phoneNumbers.PhoneNumber(ctx, sess.AppID, sess.OpenID, code)
	}
	if f["encryptedData"] == "" && f["iv"] == "" {
		return wechat.PhoneNumber{}, invalidField("code", "The field code is missing, and so are encryptedData and iv.")
	}
	data, err := openDataOf(f)
	if err != nil {
		return wechat.PhoneNumber{}, err
	}
	return openWithinLimit(ctx, p, sess, data.openPhoneWith)
}

// openPhoneWith is openWith for data that holds a phone number.
func (d openData) openPhoneWith(sessionKey string, want wechat.Owner) (wechat.PhoneNumber, error) {
	return wechat.DecryptPhoneNumber(sessionKey, d.encryptedData, d.iv, want)
}

// savePhone stores the number. Whose it is comes from the session alone.
func (p *public) savePhone(ctx context.Context, sess session.Session, phone store.Phone) (store.User, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	user, err := p.users.BindPhone(ctx, sess.AppID, sess.OpenID, phone)
	if err != nil {
		return store.User{}, err
	}
	return user, refuseDisabled(ctx, user)
}

// maskPhone shows so much of a national number that its owner knows it again: of 11 digits and more the first 3 and the
// last 4, as people in China expect it; of fewer the last third alone, so that most of it stays hidden.
func maskPhone(number string) string {
	head, tail := 3, 4
	if len(number) < 11 {
		head, tail = 0, len(number)/3
	}
	return number[:head] + strings.Repeat("*", len(number)-head-tail) + number[len(number)-tail:]
}

// PhoneNumbers exchanges the code of a phone button with WeChat. The code must be that of the user openID. Its errors are
// those of wechat.Client and of session.Store.
type PhoneNumbers interface {
	PhoneNumber(ctx context.Context, appID, openID, code string) (wechat.PhoneNumber, error)
}
