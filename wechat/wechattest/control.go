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
	errUser  = errors.New("user must be 1 to 64 printable characters")
	errNick  = errors.New("nickname must be 1 to 64 printable characters")
	errAppID = errors.New("appid is not one of this simulator's")
	errKind  = errors.New("kind must be info, profile or anonymous")
	errAPI   = errors.New("api must be jscode2session, stable_token or getuserphonenumber")
	errUnion = errors.New("unionid must be empty or 1 to 64 printable characters")
	errCount = errors.New("n must be 1 to 1000")
)

// addControls adds the paths under /sim/, with which a developer plays the phone. Parameters come in the query or as a
// form; answers are JSON.
func (s *Simulator) addControls(mux *http.ServeMux) {
	mux.HandleFunc("POST /sim/login", control(s.controlLogin))
	mux.HandleFunc("POST /sim/userinfo", control(s.controlUserInfo))
	mux.HandleFunc("POST /sim/phonecode", control(s.controlPhoneCode))
	mux.HandleFunc("POST /sim/phonenumber", control(s.controlPhoneNumber))
	mux.HandleFunc("POST /sim/chooseavatar", control(s.controlChooseAvatar))
	mux.HandleFunc("POST /sim/bind", control(s.controlBind))
	mux.HandleFunc("POST /sim/newkey", control(s.controlNewKey))
	mux.HandleFunc("POST /sim/expiretoken", control(s.controlExpireToken))
	mux.HandleFunc("POST /sim/fault", control(s.controlFault))
	mux.HandleFunc("GET /sim/account", control(s.controlAccount))
	mux.HandleFunc("GET /sim/stats", control(func(*http.Request) (any, error) { return s.Stats(), nil }))
	mux.HandleFunc("GET /sim/healthz", control(func(*http.Request) (any, error) { return statusOK, nil }))
	mux.HandleFunc("/sim/", http.NotFound)
}

var statusOK = map[string]string{"status": "ok"}

// control turns a function that answers a value, or an error that is the caller's, into a handler.
func control(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
		status := http.StatusOK
		v, err := answer(r)
		if err != nil {
			status, v = http.StatusBadRequest, map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		w.Write(append(encode(v), '\n'))
	}
}

func (s *Simulator) controlLogin(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"code": phone.Login()}, nil
}

func (s *Simulator) controlUserInfo(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	if r.Form.Has("nickname") {
		name := r.Form.Get("nickname")
		if !validName(name) {
			return nil, errNick
		}
		phone.setNickName(name)
	}
	switch r.FormValue("kind") {
	case "", "info":
		return phone.GetUserInfo(), nil
	case "profile":
		return phone.GetUserProfile(), nil
	case "anonymous":
		return phone.GetPlaceholder(), nil
	}
	return nil, errKind
}

// setNickName changes the user's nickname in all mini-programs, as in WeChat's settings.
func (p *Device) setNickName(name string) {
	p.sim.mu.Lock()
	defer p.sim.mu.Unlock()
	person := p.sim.people[p.id.name]
	person.Info.NickName = name
	p.sim.people[p.id.name] = person
}

func (s *Simulator) controlNewKey(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	phone.NewSessionKey()
	return statusOK, nil
}

// controlPhoneCode and controlPhoneNumber are the phone button, in the new way and in the old one.
func (s *Simulator) controlPhoneCode(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"code": phone.PhoneCode()}, nil
}

func (s *Simulator) controlPhoneNumber(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	return phone.GetPhoneNumber(), nil
}

func (s *Simulator) controlExpireToken(*http.Request) (any, error) {
	s.ExpireAccessTokens()
	return statusOK, nil
}

// controlAccount tells what no phone knows, for a test that searches answers and logs for leaks.
func (s *Simulator) controlAccount(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	person, a := phone.state()
	return map[string]string{"openid": a.openID, "sessionKey": a.sessionKey, "phoneNumber": person.PhoneNumber}, nil
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

// controlPhone is the phone of the user and mini-program that the request names. Unlike Phone it never panics.
func (s *Simulator) controlPhone(r *http.Request) (*Device, error) {
	name, appID := r.FormValue("user"), r.FormValue("appid")
	if !validName(name) {
		return nil, errUser
	}
	if _, known := s.apps[appID]; appID != "" && !known {
		return nil, errAppID
	}
	return s.Device(appID, User{Name: name}), nil
}

// validName tells whether s is 1 to 64 printable characters.
func validName(s string) bool {
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
