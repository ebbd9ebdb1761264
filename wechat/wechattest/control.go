package wechattest

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxControlBody = 64 << 10
	maxName        = 64   // characters
	maxFaults      = 1000 // in one request
)

// registerControls registers the paths under /sim/, with which a developer controls the devices. Parameters are sent in
// the query or as a form; responses are JSON.
func (s *Simulator) registerControls(mux *http.ServeMux) {
	handle := func(pattern string, serve func(*http.Request) (any, error)) { mux.HandleFunc(pattern, control(serve)) }
	device := func(path string, serve func(d *Device, r *http.Request) (any, error)) {
		handle("POST "+path, func(r *http.Request) (any, error) {
			d, err := s.controlDevice(r)
			if err != nil {
				return nil, err
			}
			return serve(d, r)
		})
	}
	device("/sim/login", func(d *Device, _ *http.Request) (any, error) { return map[string]string{"code": d.Login()}, nil })
	device("/sim/userinfo", controlUserInfo)
	// The phone button, in current and in older mini-programs.
	device("/sim/phonecode", func(d *Device, _ *http.Request) (any, error) { return map[string]string{"code": d.PhoneCode()}, nil })
	device("/sim/phonenumber", func(d *Device, _ *http.Request) (any, error) { return d.GetPhoneNumber(), nil })
	device("/sim/werun", func(d *Device, _ *http.Request) (any, error) { return d.GetWeRunData(), nil })
	device("/sim/group", func(d *Device, _ *http.Request) (any, error) { return d.GetGroupEnterInfo(), nil })
	device("/sim/pay", controlPay)
	device("/sim/chooseavatar", func(d *Device, _ *http.Request) (any, error) { return d.ChooseAvatar(), nil })
	device("/sim/bind", controlSetUnionID)
	device("/sim/event", controlEvent)
	device("/sim/newkey", func(d *Device, _ *http.Request) (any, error) {
		d.NewSessionKey()
		return statusOK, nil
	})
	handle("POST /sim/expiretoken", func(*http.Request) (any, error) {
		s.ExpireAccessTokens()
		return statusOK, nil
	})
	handle("POST /sim/fault", s.controlFault)
	handle("GET /sim/account", s.controlAccount)
	handle("GET /sim/stats", func(*http.Request) (any, error) { return s.Stats(), nil })
	handle("GET /sim/healthz", func(*http.Request) (any, error) { return statusOK, nil })
	mux.HandleFunc("/sim/", http.NotFound)
}

var statusOK = map[string]string{"status": "ok"}

// control returns a handler that sends the value of handle as JSON, or its error with status 400.
func control(handle func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
		status := http.StatusOK
		v, err := handle(r)
		if err != nil {
			status, v = http.StatusBadRequest, map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		w.Write(append(encode(v), '\n'))
	}
}

func controlUserInfo(d *Device, r *http.Request) (any, error) {
	if r.Form.Has("nickname") {
		name := r.Form.Get("nickname")
		if !isValidName(name) {
			return nil, errors.New("nickname must be 1 to 64 printable characters")
		}
		d.changeUser(func(u *User) { u.Info.NickName = name }) // in all mini-programs, as in WeChat's settings
	}
	switch r.FormValue("kind") {
	case "", "info":
		return d.GetUserInfo(), nil
	case "profile":
		return d.GetUserProfile(), nil
	case "anonymous":
		return d.GetPlaceholder(), nil
	}
	return nil, errors.New("kind must be info, profile or anonymous")
}

func controlSetUnionID(d *Device, r *http.Request) (any, error) {
	unionID := r.FormValue("unionid")
	if unionID != "" && !isValidName(unionID) {
		return nil, errors.New("unionid must be empty or 1 to 64 printable characters")
	}
	d.SetUnionID(unionID)
	return statusOK, nil
}

// controlEvent pushes an event to the server and returns its response.
func controlEvent(d *Device, r *http.Request) (any, error) {
	e := Event{Name: r.FormValue("event"), RevokeInfo: r.FormValue("revoke")}
	if !isValidName(e.Name) {
		return nil, errors.New("event must be 1 to 64 printable characters")
	}
	if e.RevokeInfo != "" && !isValidName(e.RevokeInfo) {
		return nil, errors.New("revoke must be empty or 1 to 64 printable characters")
	}
	switch r.FormValue("format") {
	case "", "json":
	case "xml":
		e.XML = true
	default:
		return nil, errors.New("format must be json or xml")
	}
	if created := r.FormValue("createtime"); created != "" {
		seconds, err := strconv.ParseInt(created, 10, 64)
		if err != nil || seconds <= 0 {
			return nil, errors.New("createtime must be a Unix time in seconds")
		}
		e.CreatedAt = time.Unix(seconds, 0)
	}
	return d.Push(r.Context(), e)
}

// controlAccount returns values that a device does not have, for tests that search responses and logs for leaks.
func (s *Simulator) controlAccount(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	user, a := device.snapshot()
	return map[string]string{"openid": a.openID, "sessionKey": a.sessionKey, "phoneNumber": user.PhoneNumber}, nil
}

func (s *Simulator) controlFault(r *http.Request) (any, error) {
	fault, err := ParseFault(r.FormValue("kind"))
	if err != nil {
		return nil, err
	}
	api := cmp.Or(API(r.FormValue("api")), Logins)
	if api != Logins && api != Tokens && api != PhoneNumbers {
		return nil, errors.New("api must be jscode2session, stable_token or getuserphonenumber")
	}
	n, err := strconv.Atoi(cmp.Or(r.FormValue("n"), "1"))
	if err != nil || n < 1 || n > maxFaults {
		return nil, errors.New("n must be 1 to 1000")
	}
	s.FailAPI(api, slices.Repeat([]Fault{fault}, n)...)
	return statusOK, nil
}

// controlDevice returns the device of the user and mini-program in the request. Unlike Device it never panics.
func (s *Simulator) controlDevice(r *http.Request) (*Device, error) {
	name, appID := r.FormValue("user"), r.FormValue("appid")
	if !isValidName(name) {
		return nil, errors.New("user must be 1 to 64 printable characters")
	}
	if _, known := s.apps[appID]; appID != "" && !known {
		return nil, errors.New("appid is not one of this simulator's")
	}
	return s.Device(appID, User{Name: name}), nil
}

// isValidName reports whether s is 1 to 64 printable characters.
func isValidName(s string) bool {
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
