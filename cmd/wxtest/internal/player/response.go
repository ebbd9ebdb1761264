// Package player plays one user of a mini-program against a wxlogin server and the simulator of WeChat, and checks every
// response against docs/api.md and against what is known of the user:
//
//	p := player.Player{Client: client, Simulator: simulator, RNG: rng}
//	job, err := p.Prepare(ctx, player.NewUser("alice", ""), player.Returning)
//	route, reply, verdict := p.Send(job)
//
// It imports nothing of the server, so that a mistake there cannot hide itself here.
package player

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// TokenLength is the length of a token in characters.
const TokenLength = 43

// Response is the part of an HTTP response that docs/api.md describes.
type Response struct {
	Status      int // 0 if there is no response
	ContentType string
	RetryAfter  string
	Challenge   string // WWW-Authenticate
	RequestID   string // X-Request-Id
	Body        []byte
}

// Violation says how a response breaks the contract. It is a constant text with at most a listed code in it, because an
// unexpected response may hold a secret.
type Violation string

func (v Violation) Error() string { return string(v) }

const (
	errOtherRequest = Violation("the response is to another request")
	errNotPlain     = Violation("200 that is not plain JSON")
	errMissing      = Violation("a field is missing")
	errNotJSON      = Violation("the body is not JSON")
	errUnknownField = Violation("a field that docs/api.md does not list")
	errType         = Violation("a field of another type")
	errTrailing     = Violation("data after the body")
)

// Problem is the body of an error response.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Action    string `json:"action"` // None, Relogin or Retry
	RequestID string `json:"requestId"`

	RetryAfter int `json:"-"` // seconds; 0 if the action is not Retry
}

// Actions that a problem advises.
const (
	None    = "none"
	Relogin = "relogin"
	Retry   = "retry"
)

// Problems are the codes of all problems, with the status and the action that belong to each.
var Problems = map[string]struct {
	Status int
	Action string
}{
	"invalid_request":        {400, None},
	"invalid_code":           {400, Relogin},
	"invalid_token":          {401, Relogin},
	"stale_session":          {401, Relogin},
	"invalid_api_key":        {401, None},
	"user_blocked":           {403, None},
	"forbidden":              {403, None},
	"conflict":               {409, None},
	"not_found":              {404, None},
	"method_not_allowed":     {405, None},
	"request_too_large":      {413, None},
	"unsupported_media_type": {415, None},
	"undecryptable":          {422, Relogin},
	"invalid_picture":        {422, None},
	"rate_limited":           {429, Retry},
	"internal":               {500, None},
	"wechat_unavailable":     {503, Retry},
	"misconfigured":          {503, None},
	"storage_unavailable":    {503, Retry},
}

// ReadProblem reads an error response to the request with the given id. Its error is a Violation.
func (r Response) ReadProblem(requestID string) (Problem, error) {
	if r.RequestID != requestID {
		return Problem{}, errOtherRequest
	}
	var p Problem
	if err := strict(r.Body, &p); err != nil {
		return Problem{}, Violation("not a problem: " + err.Error())
	}
	want, listed := Problems[p.Code]
	p.RetryAfter, _ = strconv.Atoi(r.RetryAfter)
	switch {
	case !listed:
		return Problem{}, Violation("a problem with a code that is not listed")
	case r.Status != want.Status || p.Status != want.Status:
		return Problem{}, Violation(p.Code + " with another status")
	case p.Action != want.Action:
		return Problem{}, Violation(p.Code + " with another action")
	case !strings.HasPrefix(r.ContentType, "application/problem+json"):
		return Problem{}, Violation(p.Code + " that is not problem+json")
	case p.RequestID != requestID || p.Title == "" || p.Detail == "" || p.Type == "":
		return Problem{}, Violation(p.Code + " that is incomplete")
	case (want.Status == http.StatusUnauthorized) != (r.Challenge == "Bearer"):
		return Problem{}, Violation(p.Code + " with the wrong WWW-Authenticate")
	case want.Action != Retry && r.RetryAfter != "":
		return Problem{}, Violation(p.Code + " with a Retry-After")
	case want.Action == Retry && p.RetryAfter < 1:
		return Problem{}, Violation(p.Code + " without a proper Retry-After")
	}
	return p, nil
}

// Body is the body of a response with status 200. The fields that a route does not have are zero.
type Body struct {
	Status          int     `json:"status"`
	Token           string  `json:"token"`
	ExpiresIn       int64   `json:"expiresIn"` // seconds without use
	IsNewUser       bool    `json:"isNewUser"`
	ProfileComplete bool    `json:"profileComplete"`
	Anonymous       bool    `json:"anonymous"`
	PhoneNumber     string  `json:"phoneNumber"` // masked; "" if none is bound
	AvatarURL       string  `json:"avatarUrl"`   // of an upload
	UserInfo        Profile `json:"userInfo"`

	// Of an introspection (RFC 7662, section 2.2).
	Active    bool   `json:"active"`
	TokenType string `json:"token_type"`
	Subject   string `json:"sub"`
	ClientID  string `json:"client_id"`
	ExpiresAt int64  `json:"exp"` // seconds of Unix time, as IssuedAt
	IssuedAt  int64  `json:"iat"`
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid"` // "" if none is known
}

// fields are those of each route's body. An introspection has activeFields too if the token is active.
var (
	fields = [Routes][]string{
		Login:      {"status", "token", "expiresIn", "isNewUser", "profileComplete", "phoneNumber", "userInfo"},
		Update:     {"status", "profileComplete", "anonymous", "phoneNumber", "userInfo"},
		ReadUser:   {"status", "profileComplete", "phoneNumber", "userInfo"},
		Introspect: {"active"},
		Logout:     {"status"},

		DeleteAccount: {"status"},
		Upload:        {"status", "avatarUrl", "profileComplete", "phoneNumber", "userInfo"},
	}
	activeFields  = []string{"active", "token_type", "sub", "client_id", "exp", "iat", "openid"}
	profileFields = []string{"nickName", "avatarUrl", "gender", "country", "province", "city", "language"}
)

// ReadBody reads a response with status 200 to the request with the given id. Its error is a Violation.
func (r Response) ReadBody(route Route, requestID string) (b Body, err error) {
	switch {
	case r.RequestID != requestID:
		return Body{}, errOtherRequest
	case !strings.HasPrefix(r.ContentType, "application/json") || r.RetryAfter != "" || r.Challenge != "":
		return Body{}, errNotPlain
	}
	if err := strict(r.Body, &b); err != nil {
		return Body{}, err
	}
	want, optional := fields[route], ""
	if b.Active { // on a route without this field it is an unknown one
		want, optional = activeFields, "unionid"
	}
	present, err := exactly(r.Body, want, optional)
	if err == nil && present["userInfo"] != nil {
		_, err = exactly(present["userInfo"], profileFields, "")
	}
	if err == nil {
		err = b.check(route)
	}
	if err != nil {
		return Body{}, err
	}
	return b, nil
}

// check checks the values of a body that has the fields of its route.
func (b Body) check(route Route) error {
	switch {
	case b.Active && (b.Subject == "" || b.ClientID == "" || b.OpenID == ""):
		return errMissing
	case b.Active && (b.TokenType != "Bearer" || b.IssuedAt <= 0 || b.ExpiresAt <= b.IssuedAt):
		return Violation("an active token without a proper lifetime")
	case route != Introspect && b.Status != http.StatusOK:
		return Violation("200 with another status inside")
	case b.PhoneNumber != "" && !strings.Contains(b.PhoneNumber, "*"):
		return Violation("a phone number that is not masked")
	case b.ProfileComplete != (b.UserInfo.NickName != "" && b.UserInfo.AvatarURL != ""):
		return Violation("profileComplete contradicts the profile")
	case route == Login && (len(b.Token) != TokenLength || b.ExpiresIn <= 0):
		return Violation("a login without a proper token")
	}
	return nil
}

// strict decodes a body. Unknown fields and data after the JSON value are violations. The decoder's own errors may quote the
// body.
func strict(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if _, isType := errors.AsType[*json.UnmarshalTypeError](err); isType {
			return errType
		}
		if strings.HasPrefix(err.Error(), "json: unknown field") {
			return errUnknownField
		}
		return errNotJSON
	}
	if _, err := d.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// exactly returns the fields of a JSON object, which must be the wanted ones, none of them null, and perhaps the optional one.
func exactly(object []byte, want []string, optional string) (present map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(object, &present); err != nil {
		return nil, errType
	}
	for _, name := range want {
		if value, found := present[name]; !found || string(value) == "null" {
			return nil, errMissing
		}
	}
	for name := range present {
		if name != optional && !slices.Contains(want, name) {
			return nil, errUnknownField
		}
	}
	return present, nil
}
