package handlers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"wxlogin/wechat"
	"wxlogin/wechat/push"
)

// Outcomes of a decryption.
const (
	decryptedWithOwnKey   = "own_key"   // under the session's session_key
	decryptedWithOtherKey = "other_key" // under the session_key of another session of the same user
	decryptionFailed      = "failed"
)

// How an unusable response of WeChat is counted: instead of an errcode, and as the outcome of a login, which sets it
// apart from the code invalid_code that the client gets.
const (
	errcodeUnusable      = "unusable"
	loginOutcomeUnusable = "unusable_answer"
)

// Outcomes of a token check for another service.
const (
	tokenActive   = "active"
	tokenInactive = "inactive"
	tokenBlocked  = "blocked" // its user is disabled
	tokenFailed   = "failed"  // the server could not find out
)

// Metrics are the metrics that GET /metrics returns, in a registry of their own. All methods are safe for concurrent
// use.
type Metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	logins         *prometheus.CounterVec
	decryptions    *prometheus.CounterVec
	calls          *prometheus.CounterVec
	callSeconds    *prometheus.HistogramVec
	rejections     *prometheus.CounterVec
	tokenChecks    *prometheus.CounterVec
	pushes         *prometheus.CounterVec

	invalidForwardedFor prometheus.Counter
}

// latencyBuckets, in seconds, range from the fastest response to more than the time limit of a call to WeChat.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// NewMetrics returns the metrics of one server, including those of Go and of the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("http_requests_total",
			"Requests by route and status (499: the client disconnected).", "route", "status"),
		requestSeconds: histogram("http_request_duration_seconds", "Duration of requests by route.", "route"),
		logins: counter("logins_total", "Logins by outcome: new, returning, unusable_answer (WeChat's response had no openid or "+
			"session_key), or the problem code.", "outcome"),
		decryptions: counter("decryptions_total", "Decryptions by outcome: own_key, other_key or failed.", "outcome"),
		calls: counter("wechat_calls_total", "Calls to WeChat by API and errcode (none: there was no errcode; unusable: the "+
			"response lacked a required field).", "api", "errcode"),
		rejections: counter("refusals_total", "Requests that exceeded a limit of this server: logins_in_flight, login_rate, "+
			"update_rate, failed_update_rate, uploads_in_flight or daily_uploads.", "bound"),
		tokenChecks: counter("token_checks_total",
			"Token checks for other services by outcome: active, inactive, blocked or failed.", "outcome"),
		pushes: counter("wechat_pushes_total", "Messages that WeChat pushed by event (other: not about personal data, or "+
			"unreadable) and outcome: applied, ignored, forwarded, rejected, malformed or failed.", "event", "outcome"),
		invalidForwardedFor: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "wxlogin", Name: "unreadable_forwarded_for_total",
			Help: "Requests with an X-Forwarded-For from a trusted proxy that cannot be parsed.",
		}),
		callSeconds: histogram("wechat_call_duration_seconds", "Duration of calls to WeChat by API.", "api"),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.requestSeconds, m.logins, m.decryptions, m.calls, m.callSeconds, m.rejections, m.tokenChecks,
		m.pushes, m.invalidForwardedFor,
	)
	m.initPushes()
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "wxlogin", Name: name, Help: help}, labels)
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(
		prometheus.HistogramOpts{Namespace: "wxlogin", Name: name, Help: help, Buckets: latencyBuckets}, labels)
}

// handler serves GET /metrics.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// WeChatCall counts one attempt of a call to WeChat, for wechat.Options.OnCall.
func (m *Metrics) WeChatCall(c wechat.Call) {
	errcode := strconv.Itoa(c.ErrCode)
	switch {
	case isUnusable(c.Err):
		errcode = errcodeUnusable
	case c.Err != nil && c.ErrCode == 0:
		errcode = "none"
	}
	m.calls.WithLabelValues(c.API, errcode).Inc()
	m.callSeconds.WithLabelValues(c.API).Observe(c.Duration.Seconds())
}

func (m *Metrics) request(route string, status int, d time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(d.Seconds())
}

func (m *Metrics) login(created bool, err error) {
	outcome := "returning"
	switch {
	case isUnusable(err):
		outcome = loginOutcomeUnusable
	case err != nil:
		outcome = string(toAPIError(err).code)
	case created:
		outcome = "new"
	}
	m.logins.WithLabelValues(outcome).Inc()
}

func (m *Metrics) decryption(outcome string) { m.decryptions.WithLabelValues(outcome).Inc() }

// otherEvent is the label of messages that are not about personal data, or unreadable.
const otherEvent = "other"

// initPushes shows every count of messages as 0 from the start. They are rare: an alert would not see the first of a kind
// as an increase.
func (m *Metrics) initPushes() {
	for _, event := range []string{push.UserInfoModified, push.AuthorizationRevoked, push.AuthorizationCancelled, otherEvent} {
		for _, outcome := range []string{pushApplied, pushIgnored, pushForwarded, pushRejected, pushMalformed, pushFailed} {
			m.pushes.WithLabelValues(event, outcome)
		}
	}
}

// push counts a message that WeChat pushed.
func (m *Metrics) push(event push.Event, outcome string) {
	name := otherEvent
	if isPersonal(event) {
		name = event.Event
	}
	m.pushes.WithLabelValues(name, outcome).Inc()
}

func (m *Metrics) rejected(why rejection) { m.rejections.WithLabelValues(string(why)).Inc() }

func (m *Metrics) tokenCheck(err error) { m.tokenChecks.WithLabelValues(tokenOutcome(err)).Inc() }

// tokenOutcome returns the outcome of a token check that ended with err.
func tokenOutcome(err error) string {
	if err == nil {
		return tokenActive
	}
	switch toAPIError(err).code {
	case codeInvalidToken:
		return tokenInactive
	case codeUserBlocked:
		return tokenBlocked
	}
	return tokenFailed
}

// Register adds a collector. It panics if one of its metrics is registered already.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Gauge adds the gauge wxlogin_<name>, whose value read returns at each scrape. It panics if the gauge is registered
// already.
func (m *Metrics) Gauge(name, help string, labels map[string]string, read func() float64) {
	m.Register(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: "wxlogin", Name: name, Help: help, ConstLabels: labels}, read))
}

// Counter is Gauge for a value that only grows.
func (m *Metrics) Counter(name, help string, labels map[string]string, read func() float64) {
	m.Register(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Namespace: "wxlogin", Name: name, Help: help, ConstLabels: labels}, read))
}

// watchLogins adds gauges of the logins in flight and in the queue.
func (m *Metrics) watchLogins(s *loginSemaphore) {
	if s == nil {
		return
	}
	m.Gauge("logins_in_flight", "Logins in progress.", nil, func() float64 { return float64(len(s.slots)) })
	m.Gauge("logins_in_flight_limit", "Limit of logins in progress.", nil, func() float64 { return float64(cap(s.slots)) })
	m.Gauge("logins_queued", "Logins that wait for a slot.", nil, func() float64 { return float64(len(s.queue)) })
}

// breakerStates are the states of a circuit breaker, as the function that is passed to WatchBreaker names them.
var breakerStates = []string{"closed", "half-open", "open"}

// WatchBreaker adds a gauge for each state of an app's circuit breaker towards WeChat. It may be called once per app.
func (m *Metrics) WatchBreaker(appID string, state func() string) {
	for _, s := range breakerStates {
		m.Gauge("wechat_breaker_state", "1 for the current state of an app's circuit breaker towards WeChat, 0 for the others.",
			map[string]string{"appid": appID, "state": s}, func() float64 {
				if state() == s {
					return 1
				}
				return 0
			})
	}
}
