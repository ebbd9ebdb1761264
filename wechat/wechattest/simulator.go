package wechattest

import (
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
}

// Simulator is an http.Handler that simulates WeChat's API. It is safe for concurrent use.
type Simulator struct {
	apps       map[string]string
	defaultApp string
	now        func() time.Time
	minKeyAge  time.Duration
	codeTTL    time.Duration
	latency    time.Duration
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

// New returns a Simulator. It panics if Options.Apps is empty.
func New(o Options) *Simulator {
	if len(o.Apps) == 0 {
		panic("wechattest: Options.Apps is empty")
	}
	s := &Simulator{
		apps:       maps.Clone(o.Apps),
		defaultApp: slices.Min(slices.Collect(maps.Keys(o.Apps))),
		now:        o.Now,
		minKeyAge:  o.MinKeyAge,
		codeTTL:    o.CodeTTL,
		latency:    o.Latency,
		users:      map[string]User{},
		accounts:   map[accountID]*account{},
		codes:      map[string]*issuedCode{},
		sweepAt:    minSweep,
		faults:     map[API][]Fault{},
		tokens:     map[string]*appTokens{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.minKeyAge == 0 {
		s.minKeyAge = defaultMinKeyAge
	}
	if s.codeTTL == 0 {
		s.codeTTL = defaultCodeTTL
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
	mux.HandleFunc("/", s.notSimulated)
	s.registerControls(mux)
	return mux
}

func (s *Simulator) notSimulated(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.stats.Others++
	s.mu.Unlock()
	http.NotFound(w, r)
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
	if stats.ErrCodes == nil {
		stats.ErrCodes = map[int]int{}
	}
	return stats
}

// Calls returns the number of requests to jscode2session so far.
func (s *Simulator) Calls() int { return s.Stats().Calls }

// countErrorLocked counts an errcode before it is sent. s.mu is held.
func (s *Simulator) countErrorLocked(errCode int) {
	if s.stats.ErrCodes == nil {
		s.stats.ErrCodes = map[int]int{}
	}
	s.stats.ErrCodes[errCode]++
}

// The mini-program of the demo, of cmd/wxsim and of docker-compose.yml. These values are invalid at WeChat.
const (
	DemoAppID  = "wx000000000000demo"
	DemoSecret = "demosecret0000000000000000000000"
)
