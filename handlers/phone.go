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

// PhoneNumbers exchanges a code of the phone button at WeChat. The code must be one of the user openID. Errors are
// those of wechat.Client and session.Store.
type PhoneNumbers interface {
	PhoneNumber(ctx context.Context, appID, openID, code string) (wechat.PhoneNumber, error)
}

// phoneResponse is the response of POST /bindPhone.
type phoneResponse struct {
	Status      int    `json:"status"`
	PhoneNumber string `json:"phoneNumber"` // masked
	CountryCode string `json:"countryCode"`
}

// bindPhone serves POST /bindPhone. It stores the phone number of the token's user.
func (p *public) bindPhone(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	sess, err := p.sessionForUpdate(r.Context(), r, f)
	if err != nil {
		return err
	}
	if _, err := p.currentUser(r.Context(), sess); err != nil { // a disabled user must not spend a code or a decryption
		return err
	}
	number, err := p.readPhoneNumber(r.Context(), sess, f)
	if err != nil {
		return err
	}
	user, err := p.savePhone(r.Context(), sess, store.Phone{CountryCode: number.CountryCode, Number: string(number.Number)})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, phoneResponse{
		Status: http.StatusOK, PhoneNumber: maskPhone(user.Phone.Number), CountryCode: user.Phone.CountryCode,
	})
}

// readPhoneNumber returns the number behind a code of the phone button or, if there is no code, in encrypted data. A
// mini-program gets both from one button. The code is preferred, because WeChat itself says whose number it is.
func (p *public) readPhoneNumber(ctx context.Context, sess session.Session, f request.Fields) (wechat.PhoneNumber, error) {
	if code := f["code"]; code != "" {
		if err := validateCode(code); err != nil {
			return wechat.PhoneNumber{}, err
		}
		return p.phoneNumbers.PhoneNumber(ctx, sess.AppID, sess.OpenID, code)
	}
	if f["encryptedData"] == "" && f["iv"] == "" {
		return wechat.PhoneNumber{}, invalidField("code", "Either code, or encryptedData and iv, is required.")
	}
	data, err := readEncryptedData(f)
	if err != nil {
		return wechat.PhoneNumber{}, err
	}
	return decryptRateLimited(ctx, p.decryptor, sess, data.phoneNumber)
}

// savePhone stores the number for the session's user.
func (p *public) savePhone(ctx context.Context, sess session.Session, phone store.Phone) (store.User, error) {
	ctx, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	user, err := p.users.BindPhone(ctx, sess.AppID, sess.OpenID, phone)
	if err != nil {
		return store.User{}, err
	}
	return user, rejectDisabled(ctx, user)
}

// maskPhone masks a national number so that its owner can still recognize it. A number of 11 digits or more keeps the
// first 3 and the last 4, as is usual in China. A shorter one keeps only the last third, so that most of it stays
// hidden.
func maskPhone(number string) string {
	head, tail := 3, 4
	if len(number) < 11 {
		head, tail = 0, len(number)/3
	}
	return number[:head] + strings.Repeat("*", len(number)-head-tail) + number[len(number)-tail:]
}
