package wechattest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	defaultCodeTTL   = 5 * time.Minute
	defaultMinKeyAge = time.Minute
)

// Options configure a Simulator. Apps is required.
type Options struct {
	// Apps maps the appid of every mini-program to its AppSecret.
	Apps map[string]string

	// Now is the clock for codes, keys, watermarks and request ids. Default: time.Now.
	Now func() time.Time

	// MinKeyAge is the age at which wx.login replaces a session_key. WeChat may replace it then, the simulator always
	// does. WeChat does not publish a value. Default: 1 minute. If it is negative, every wx.login replaces the key.
	MinKeyAge time.Duration

	// CodeTTL is how long a code lives. Default: WeChat's 5 minutes.
	CodeTTL time.Duration

	// Latency delays every call.
	Latency time.Duration

	// Pushes maps the appid of a mini-program to the server that gets its pushes. Optional.
	Pushes map[string]Push
}

// Simulator is an http.Handler that simulates WeChat's API. It is safe for concurrent use.
type Simulator struct {
	apps       map[string]string
	defaultApp string
	now        func() time.Time
	minKeyAge  time.Duration
	codeTTL    time.Duration
	latency    time.Duration
	pushes     map[string]Push // by appid
	routes     *http.ServeMux

	mu       sync.Mutex // guards maps and counters; never held during I/O or a wait
	users    map[string]User
	accounts map[accountID]*account
	codes    map[string]*issuedCode
	sweepAt  int // the number of codes at which expired ones are next removed
	faults   map[API][]Fault
	tokens   map[string]*appTokens // by appid
	stats    Stats
}

// New returns a Simulator. It panics if Options.Apps is empty, or if a Push is invalid or for another mini-program.
func New(o Options) *Simulator {
	if len(o.Apps) == 0 {
		panic("wechattest: Options.Apps is empty")
	}
	for appID, p := range o.Pushes {
		if err := p.Validate(); err != nil || o.Apps[appID] == "" {
			panic("wechattest: Options.Pushes has an invalid Push, or one for another mini-program")
		}
	}
	s := &Simulator{
		apps:       maps.Clone(o.Apps),
		defaultApp: slices.Min(slices.Collect(maps.Keys(o.Apps))),
		now:        o.Now,
		minKeyAge:  cmp.Or(o.MinKeyAge, defaultMinKeyAge),
		codeTTL:    cmp.Or(o.CodeTTL, defaultCodeTTL),
		latency:    o.Latency,
		pushes:     maps.Clone(o.Pushes),
		users:      map[string]User{},
		accounts:   map[accountID]*account{},
		codes:      map[string]*issuedCode{},
		sweepAt:    minSweep,
		faults:     map[API][]Fault{},
		tokens:     map[string]*appTokens{},
		stats:      Stats{ErrCodes: map[int]int{}},
	}
	if s.now == nil {
		s.now = time.Now
	}
	for appID := range s.apps {
		s.tokens[appID] = &appTokens{}
	}
	s.routes = s.newRoutes()
	return s
}

// ServeHTTP serves WeChat's /sns/jscode2session, /cgi-bin/stable_token and /wxa/business/getuserphonenumber, and the
// simulator's own paths under /sim/. Other paths of WeChat's API return 404 and are counted.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.routes.ServeHTTP(w, r) }

func (s *Simulator) newRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/sns/jscode2session", s.apiHandler(Logins, s.jscode2session))
	mux.HandleFunc("/cgi-bin/stable_token", s.apiHandler(Tokens, s.stableToken))
	mux.HandleFunc("/wxa/business/getuserphonenumber", s.apiHandler(PhoneNumbers, s.getUserPhoneNumber))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { // not simulated
		s.mu.Lock()
		s.stats.Others++
		s.mu.Unlock()
		http.NotFound(w, r)
	})
	s.registerControls(mux)
	return mux
}

// Stats counts the requests to a Simulator.
type Stats struct {
	Calls     int         `json:"calls"`     // requests to jscode2session, whatever the response
	Exchanged int         `json:"exchanged"` // codes that were spent, even if the response was lost
	ErrCodes  map[int]int `json:"errcodes"`  // how often each errcode was sent
	Others    int         `json:"others"`    // requests to other paths of WeChat's API

	TokenCalls int `json:"tokenCalls"` // requests to stable_token, whatever the response
	TokensMade int `json:"tokensMade"` // access_tokens created: the first of each mini-program, and each refresh
	PhoneCalls int `json:"phoneCalls"` // requests to getuserphonenumber, whatever the response
}

// Stats returns the counts so far. A request counts when it arrives, even if its response is never sent.
func (s *Simulator) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.ErrCodes = maps.Clone(stats.ErrCodes)
	return stats
}

// Calls returns the number of requests to jscode2session so far.
func (s *Simulator) Calls() int { return s.Stats().Calls }

// The mini-program of the demo, of cmd/wxsim and of docker-compose.yml. These values are invalid at WeChat.
const (
	DemoAppID  = "wx000000000000demo"
	DemoSecret = "demosecret0000000000000000000000"
)

// User is a person with a WeChat account. Only Name is required.
type User struct {
	Name    string // identifies the user in all mini-programs; leaves the simulator only in a generated Info
	OpenID  string // the openid in the mini-program of the Device. Default: generated from appid and name
	UnionID string // "" if the mini-program is not bound to an Open Platform account
	Info    Info   // the user's profile. Default: generated from the name

	CountryCode string // of the phone number. Default: 86
	PhoneNumber string // the national number. Default: 11 digits generated from the name
}

// Info is a user's profile, in the order and with the names of wx.getUserInfo's userInfo.
type Info struct {
	NickName  string `json:"nickName"`
	Gender    int    `json:"gender"` // 0 unknown, 1 male, 2 female
	Language  string `json:"language"`
	City      string `json:"city"`
	Province  string `json:"province"`
	Country   string `json:"country"`
	AvatarURL string `json:"avatarUrl"`
}

// accountID is a user in one mini-program.
type accountID struct{ appID, name string }

// account is a user's account in one mini-program. It has one valid session_key at a time, whatever the number of
// devices.
type account struct {
	openID       string
	sessionKey   string
	keyCreatedAt time.Time
}

// register adds u, or updates a known user with the fields that are set in u.
func (s *Simulator) register(appID string, u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, known := s.users[u.Name]
	if !known {
		user = User{Name: u.Name, Info: generatedInfo(u.Name), CountryCode: "86", PhoneNumber: generatedPhoneNumber(u.Name)}
	}
	user.UnionID = cmp.Or(u.UnionID, user.UnionID)
	user.Info = cmp.Or(u.Info, user.Info)
	user.CountryCode = cmp.Or(u.CountryCode, user.CountryCode)
	user.PhoneNumber = cmp.Or(u.PhoneNumber, user.PhoneNumber)
	s.users[u.Name] = user

	id := accountID{appID, u.Name}
	a, known := s.accounts[id]
	if !known {
		a = &account{openID: generatedOpenID(id), sessionKey: newSessionKey(), keyCreatedAt: s.now()}
		s.accounts[id] = a
	}
	a.openID = cmp.Or(u.OpenID, a.openID)
}

// generatedOpenID returns 28 characters like those of WeChat: "o" and then base64url.
func generatedOpenID(id accountID) string {
	sum := sha256.Sum256([]byte("openid\x00" + id.appID + "\x00" + id.name))
	return "o" + base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}

func generatedInfo(name string) Info {
	sum := sha256.Sum256([]byte("profile\x00" + name))
	return Info{
		NickName: name, Gender: 1 + int(sum[0]%2), Language: "zh_CN", City: "Guangzhou", Province: "Guangdong", Country: "China",
		AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/" + base64.RawURLEncoding.EncodeToString(sum[:]) + "/132",
	}
}

// generatedPhoneNumber returns a number in the form of China's mobile numbers.
func generatedPhoneNumber(name string) string {
	sum := sha256.Sum256([]byte("phone number\x00" + name))
	return fmt.Sprintf("138%08d", binary.BigEndian.Uint32(sum[:])%1e8)
}

// newSessionKey returns the base64 of 16 random bytes, 24 characters.
func newSessionKey() string { return base64.StdEncoding.EncodeToString(randomBytes(16)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
