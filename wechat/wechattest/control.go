package wechattest

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

const (
	maxControlBody = 64 << 10
	maxName        = 64   // characters
	maxFaults      = 1000 // in one request
)

var (
	errUser     = errors.New("user must be 1 to 64 printable characters")
	errNickName = errors.New("nickname must be 1 to 64 printable characters")
	errAppID    = errors.New("appid is not one of this simulator's")
	errKind     = errors.New("kind must be info, profile or anonymous")
	errAPI      = errors.New("api must be jscode2session, stable_token or getuserphonenumber")
	errUnionID  = errors.New("unionid must be empty or 1 to 64 printable characters")
	errCount    = errors.New("n must be 1 to 1000")
)

// registerControls registers the paths under /sim/, with which a developer controls the devices. Parameters are sent in
// the query or as a form; responses are JSON.
func (s *Simulator) registerControls(mux *http.ServeMux) {
	mux.HandleFunc("POST /sim/login", control(s.controlLogin))
	mux.HandleFunc("POST /sim/userinfo", control(s.controlUserInfo))
	mux.HandleFunc("POST /sim/phonecode", control(s.controlPhoneCode))
	mux.HandleFunc("POST /sim/phonenumber", control(s.controlPhoneNumber))
	mux.HandleFunc("POST /sim/chooseavatar", control(s.controlChooseAvatar))
	mux.HandleFunc("POST /sim/bind", control(s.controlSetUnionID))
	mux.HandleFunc("POST /sim/newkey", control(s.controlNewKey))
	mux.HandleFunc("POST /sim/expiretoken", control(s.controlExpireToken))
	mux.HandleFunc("POST /sim/fault", control(s.controlFault))
	mux.HandleFunc("GET /sim/account", control(s.controlAccount))
	mux.HandleFunc("GET /sim/stats", control(func(*http.Request) (any, error) { return s.Stats(), nil }))
	mux.HandleFunc("GET /sim/healthz", control(func(*http.Request) (any, error) { return statusOK, nil }))
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

func (s *Simulator) controlLogin(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"code": device.Login()}, nil
}

func (s *Simulator) controlUserInfo(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	if r.Form.Has("nickname") {
		name := r.Form.Get("nickname")
		if !isValidName(name) {
			return nil, errNickName
		}
		device.setNickName(name)
	}
	switch r.FormValue("kind") {
	case "", "info":
		return device.GetUserInfo(), nil
	case "profile":
		return device.GetUserProfile(), nil
	case "anonymous":
		return device.GetPlaceholder(), nil
	}
	return nil, errKind
}

// setNickName changes the user's nickname in all mini-programs, as in WeChat's settings.
func (d *Device) setNickName(name string) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	user := d.sim.users[d.id.name]
	user.Info.NickName = name
	d.sim.users[d.id.name] = user
}

func (s *Simulator) controlChooseAvatar(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	return device.ChooseAvatar(), nil
}

func (s *Simulator) controlSetUnionID(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	unionID := r.FormValue("unionid")
	if unionID != "" && !isValidName(unionID) {
		return nil, errUnionID
	}
	device.SetUnionID(unionID)
	return statusOK, nil
}

func (s *Simulator) controlNewKey(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	device.NewSessionKey()
	return statusOK, nil
}

// controlPhoneCode and controlPhoneNumber are the phone button, in current and in older mini-programs.
func (s *Simulator) controlPhoneCode(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"code": device.PhoneCode()}, nil
}

func (s *Simulator) controlPhoneNumber(r *http.Request) (any, error) {
	device, err := s.controlDevice(r)
	if err != nil {
		return nil, err
	}
	return device.GetPhoneNumber(), nil
}

func (s *Simulator) controlExpireToken(*http.Request) (any, error) {
	s.ExpireAccessTokens()
	return statusOK, nil
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
	api := Logins
	if text := r.FormValue("api"); text != "" {
		api = API(text)
	}
	if api != Logins && api != Tokens && api != PhoneNumbers {
		return nil, errAPI
	}
	n := 1
	if text := r.FormValue("n"); text != "" {
		n, err = strconv.Atoi(text)
	}
	if err != nil || n < 1 || n > maxFaults {
		return nil, errCount
	}
	s.FailAPI(api, slices.Repeat([]Fault{fault}, n)...)
	return statusOK, nil
}

// controlDevice returns the device of the user and mini-program in the request. Unlike Device it never panics.
func (s *Simulator) controlDevice(r *http.Request) (*Device, error) {
	name, appID := r.FormValue("user"), r.FormValue("appid")
	if !isValidName(name) {
		return nil, errUser
	}
	if _, known := s.apps[appID]; appID != "" && !known {
		return nil, errAppID
	}
	return s.Device(appID, User{Name: name}), nil
}

// isValidName reports whether s is 1 to 64 printable characters.
func isValidName(s string) bool {
	n := utf8.RuneCountInString(s)
	if n == 0 || n > maxName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
