package handlers

import (
	"net/http"
	"strconv"

	"wxlogin/internal/request"
)

// introspection is what POST /introspect answers (RFC 7662, section 2.2). Of a token that is not active, nothing more is
// told.
type introspection struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type,omitempty"`
	Subject   string `json:"sub,omitempty"`       // users.id
	ClientID  string `json:"client_id,omitempty"` // appid
	ExpiresAt int64  `json:"exp,omitempty"`       // seconds of Unix time: if the token is not used again
	IssuedAt  int64  `json:"iat,omitempty"`       // seconds of Unix time
	OpenID    string `json:"openid,omitempty"`
	UnionID   string `json:"unionid,omitempty"` // where it is known
}

// introspect tells another service whose token it was shown.
func (c *tokenChecks) introspect(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	token, err := f.Required("token")
	if err != nil {
		return err
	}
	h, err := c.check(r.Context(), token)
	if err != nil {
		if outcomeOf(err) == tokenFailed {
			return err
		}
		return writeJSON(w, http.StatusOK, introspection{})
	}
	return writeJSON(w, http.StatusOK, introspection{
		Active: true, TokenType: "Bearer", Subject: strconv.FormatUint(h.user.ID, 10), ClientID: h.session.AppID,
		ExpiresAt: h.expires.Unix(), IssuedAt: h.session.CreatedAt.Unix(),
		OpenID: h.session.OpenID, UnionID: h.user.UnionID,
	})
}
