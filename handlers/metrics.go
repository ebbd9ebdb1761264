package handlers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"wxlogin/wechat"
)

// Outcomes of a decryption.
const (
	openedByOwnKey   = "own_key"   // under the session's session_key
	openedByOtherKey = "other_key" // under the session_key of another session of the same user
	notOpened        = "failed"
)

// What WeChat's answer to a code that lacks what is needed stands as: in place of an errcode, and as the outcome of a login,
// apart from the invalid_code that the client gets.
const (
	callUnusable  = "unusable"
	loginUnusable = "unusable_answer"
)

// Outcomes of a token check for another service.
const (
	tokenActive   = "active"
	tokenInactive = "inactive"
	tokenBlocked  = "blocked" // its user is disabled
	tokenFailed   = "failed"  // nobody knows
)

// Metrics are the figures that GET /metrics gives, in a registry of their own.
type Metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	logins         *prometheus.CounterVec
	decryptions    *prometheus.CounterVec
	calls          *prometheus.CounterVec
	callSeconds    *prometheus.HistogramVec
	refusals       *prometheus.CounterVec
	tokenChecks    *prometheus.CounterVec

	unreadableForwardedFor prometheus.Counter
}

// latencyBuckets reach from a cached answer to WeChat's whole budget, in seconds.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// NewMetrics makes the metrics of one server, those of Go and of the process with them.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry:       prometheus.NewRegistry(),
		requests:       counter("http_requests_total", "Requests by route and status (499: the client did not wait).", "route", "status"),
		requestSeconds: histogram("http_request_duration_seconds", "Time to answer a request, by route.", "route"),
		logins:         counter("logins_total", "Logins by outcome: new, returning, unusable_answer (WeChat answered without an openid or session_key), or the problem code.", "outcome"),
		decryptions:    counter("decryptions_total", "Open data by outcome: own_key, other_key or failed.", "outcome"),
		calls:          counter("wechat_calls_total", "Calls of WeChat by API and errcode (none: no errcode was had; unusable: WeChat answered a code without what is needed).", "api", "errcode"),
		refusals: counter("refusals_total",
			"Requests beyond a bound of this server: logins_in_flight, login_rate, update_rate, failed_update_rate, uploads_in_flight or daily_uploads.", "bound"),
		tokenChecks: counter("token_checks_total",
			"Tokens that other services asked about, by outcome: active, inactive, blocked or failed.", "outcome"),
		unreadableForwardedFor: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "wxlogin", Name: "unreadable_forwarded_for_total",
			Help: "Requests of which a trusted proxy wrote an X-Forwarded-For that cannot be read.",
		}),
		callSeconds: histogram("wechat_call_duration_seconds", "Time of a call of WeChat, by API.", "api"),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.requestSeconds, m.logins, m.decryptions, m.calls, m.callSeconds, m.refusals, m.tokenChecks,
		m.unreadableForwardedFor,
	)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "wxlogin", Name: name, Help: help}, labels)
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(
		prometheus.HistogramOpts{Namespace: "wxlogin", Name: name, Help: help, Buckets: latencyBuckets}, labels)
}

// handler serves the figures in Prometheus's text format.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// WeChatCall counts one attempt to call WeChat. It fits wechat.Options.OnCall.
func (m *Metrics) WeChatCall(c wechat.Call) {
	errcode := strconv.Itoa(c.ErrCode)
	switch {
	case isUnusable(c.Err):
		errcode = callUnusable
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
		outcome = loginUnusable
	case err != nil:
		outcome = string(classify(err).code)
	case created:
		outcome = "new"
	}
	m.logins.WithLabelValues(outcome).Inc()
}

func (m *Metrics) decryption(outcome string) { m.decryptions.WithLabelValues(outcome).Inc() }

func (m *Metrics) refusal(why refusal) { m.refusals.WithLabelValues(string(why)).Inc() }

func (m *Metrics) tokenCheck(err error) { m.tokenChecks.WithLabelValues(outcomeOf(err)).Inc() }

// outcomeOf says how a token check ended.
func outcomeOf(err error) string {
	if err == nil {
		return tokenActive
	}
	switch classify(err).code {
	case codeInvalidToken:
		return tokenInactive
	case codeUserBlocked:
		return tokenBlocked
	}
	return tokenFailed
}

// Register adds a collector. It panics for one whose figures are there already.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Gauge adds a figure that is read when it is asked for, under the name wxlogin_name. It panics for one that is there.
func (m *Metrics) Gauge(name, help string, labels map[string]string, read func() float64) {
	m.Register(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: "wxlogin", Name: name, Help: help, ConstLabels: labels}, read))
}

// Counter is Gauge for a figure that only grows.
func (m *Metrics) Counter(name, help string, labels map[string]string, read func() float64) {
	m.Register(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Namespace: "wxlogin", Name: name, Help: help, ConstLabels: labels}, read))
}

// watchLogins shows how many logins are at work and how many queue.
func (m *Metrics) watchLogins(a *admission) {
	if a == nil {
		return
	}
	m.Gauge("logins_in_flight", "Logins at work.", nil, func() float64 { return float64(len(a.working)) })
	m.Gauge("logins_in_flight_limit", "Logins that may be at work.", nil, func() float64 { return float64(cap(a.working)) })
	m.Gauge("logins_queued", "Logins that wait for their turn.", nil, func() float64 { return float64(len(a.queued)) })
}

// breakerStates are the states of a circuit breaker, as WatchBreaker's function names them.
var breakerStates = []string{"closed", "half-open", "open"}

// WatchBreaker shows the state of the circuit breaker of an app's logins towards WeChat: closed, half-open or open. It may be
// called once for each app.
func (m *Metrics) WatchBreaker(appID string, state func() string) {
	for _, s := range breakerStates {
		m.Gauge("wechat_breaker_state", "1 for the state that the circuit breaker of an app's logins towards WeChat is in.",
			map[string]string{"appid": appID, "state": s}, func() float64 {
				if state() == s {
					return 1
				}
				return 0
			})
	}
}
