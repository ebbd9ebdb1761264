package handlers

import (
	"net/http"
	"strconv"

	"wxlogin/session"
)

// The headers in which a gateway is told whose request it has. It must take them from this answer alone, and not let
// through what a client sends under these names.
const (
	headerUserID  = "X-User-Id"
	headerAppID   = "X-Wechat-Appid"
	headerOpenID  = "X-Wechat-Openid"
	headerUnionID = "X-Wechat-Unionid"
)

// verifyAnswer is what /verify answers.
type verifyAnswer struct {
	Status int `json:"status"`
}

// verify tells a gateway, in the answer's header, whose request it has: nginx's auth_request, forward_auth of Caddy and
// Traefik, Envoy's ext_authz. Some of them send the method and path of the request at hand; neither matters here.
func (c *tokenChecks) verify(w http.ResponseWriter, r *http.Request) error {
	token, _ := session.BearerToken(r.Header)
	h, err := c.check(r.Context(), token)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set(headerUserID, strconv.FormatUint(h.user.ID, 10))
	header.Set(headerAppID, h.session.AppID)
	header.Set(headerOpenID, h.session.OpenID)
	if h.user.UnionID != "" {
		header.Set(headerUnionID, h.user.UnionID)
	}
	return writeJSON(w, http.StatusOK, verifyAnswer{Status: http.StatusOK})
}
