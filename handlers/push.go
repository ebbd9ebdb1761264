package handlers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/request"
	"wxlogin/store"
	"wxlogin/wechat/push"
)

// Outcomes of a message that WeChat pushed.
const (
	pushApplied   = "applied"   // what it asks for was done, now or before
	pushIgnored   = "ignored"   // it asks for nothing
	pushForwarded = "forwarded" // WECHAT_PUSH_FORWARD has responded
	pushRejected  = "rejected"  // the signature, the time or the appid is wrong
	pushMalformed = "malformed"
	pushFailed    = "failed" // WeChat will repeat it
)

const (
	// forwardTimeout is how long WECHAT_PUSH_FORWARD may take, as long as WeChat waits.
	forwardTimeout = 5 * time.Second

	// maxForwarded is the largest response of WECHAT_PUSH_FORWARD that is passed on.
	maxForwarded = 64 << 10
)

// pushes receives the messages that WeChat pushes.
type pushes struct {
	receivers map[string]*push.Receiver // by appid
	events    *personalEvents
	forwardTo string // "" = other events are ignored
	client    *http.Client
	timeout   time.Duration // of a forwarded message
	metrics   *Metrics
}

func newPushes(o PublicOptions) *pushes {
	return &pushes{
		receivers: o.Pushes, events: newPersonalEvents(o.Eraser, o.StorageTimeout), metrics: o.Metrics,
		forwardTo: o.PushForward, timeout: forwardTimeout,
		client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// check serves GET /wechatPush/{appid}, by which WeChat checks the URL.
func (p *pushes) check(w http.ResponseWriter, r *http.Request) error {
	receiver, err := p.receiver(r)
	if err != nil {
		return err
	}
	echo, err := receiver.Echo(r.URL.Query())
	if err != nil {
		return pushError(err)
	}
	writeText(w, echo)
	return nil
}

// receive serves POST /wechatPush/{appid}. It responds with success only after what the message asks for has been done:
// WeChat repeats a message after any other response.
func (p *pushes) receive(w http.ResponseWriter, r *http.Request) error {
	receiver, err := p.receiver(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, request.MaxBody))
	if err != nil {
		return bodyError(err)
	}
	event, outcome, err := p.handle(w, r, receiver, body)
	p.metrics.push(event, outcome)
	return err
}

// handle handles one message and writes the response, unless it returns an error.
func (p *pushes) handle(
	w http.ResponseWriter, r *http.Request, receiver *push.Receiver, body []byte,
) (event push.Event, outcome string, err error) {
	message, err := receiver.Read(r.URL.Query(), body)
	if err == nil {
		event, err = push.ParseEvent(message)
	}
	if err != nil {
		return event, pushOutcome(err), pushError(err)
	}
	appID := chi.URLParam(r, "appid")
	if event.Event != "" && event.AppID != "" && event.AppID != appID { // in a message of another kind it may be any app
		return event, pushRejected, pushError(push.ErrForbidden)
	}
	if !isPersonal(event) && p.forwardTo != "" {
		outcome, err = p.forward(w, r, appID, body)
		return event, outcome, err
	}
	if outcome, err = p.events.apply(r.Context(), appID, event, message); err == nil {
		writeText(w, "success")
	}
	return event, outcome, err
}

func (p *pushes) receiver(r *http.Request) (*push.Receiver, error) {
	appID := chi.URLParam(r, "appid")
	receiver := p.receivers[appID]
	if receiver == nil {
		return nil, apiError{code: codeNotFound}
	}
	requestLogFrom(r.Context()).appID = appID
	return receiver, nil
}

// forward sends a message on as it came and passes the response back.
func (p *pushes) forward(w http.ResponseWriter, r *http.Request, appID string, body []byte) (outcome string, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.forwardTo, bytes.NewReader(body))
	if err != nil {
		return pushFailed, err
	}
	req.URL.RawQuery = r.URL.RawQuery
	req.Header.Set("Content-Type", cmp.Or(r.Header.Get("Content-Type"), "text/plain"))
	req.Header.Set(headerAppID, appID)
	res, err := p.client.Do(req)
	if err == nil {
		defer res.Body.Close()
		body, err = io.ReadAll(http.MaxBytesReader(nil, res.Body, maxForwarded))
	}
	if err != nil {
		w.WriteHeader(gatewayStatus(err))
		requestLogFrom(ctx).err.cause = errForward
		return pushFailed, nil
	}
	if contentType := res.Header.Get("Content-Type"); contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body) // an error means that WeChat is gone
	return pushForwarded, nil
}

// errForward hides the error of a forwarded message, which may contain its URL with the signature.
var errForward = errors.New("the receiver at WECHAT_PUSH_FORWARD failed")

// gatewayStatus is 504 if an error means that a response was too late, and else 502.
func gatewayStatus(err error) int {
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// writeText writes what WeChat wants as a response: nothing but the text.
func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, text) // an error means that WeChat is gone
}

func pushError(err error) error {
	if errors.Is(err, push.ErrForbidden) {
		return apiError{code: codeForbidden, detail: "The signature, the time or the appid of the message is wrong.", cause: err}
	}
	return apiError{code: codeInvalidRequest, detail: "The message cannot be read.", cause: err}
}

func pushOutcome(err error) string {
	if errors.Is(err, push.ErrForbidden) {
		return pushRejected
	}
	return pushMalformed
}

func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return invalidRequest("The body cannot be read.")
}

// personalEvents does what WeChat's events of personal data ask for.
type personalEvents struct {
	eraser  Eraser
	timeout time.Duration // of one event

	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time // events that were applied, until when they are remembered
}

func newPersonalEvents(e Eraser, storageTimeout time.Duration) *personalEvents {
	return &personalEvents{eraser: e, timeout: erasureSteps * storageTimeout, seen: make(map[[sha256.Size]byte]time.Time)}
}

// isPersonal reports whether an event is one of personal data.
func isPersonal(e push.Event) bool {
	switch e.Event {
	case push.UserInfoModified, push.AuthorizationRevoked, push.AuthorizationCancelled:
		return true
	}
	return false
}

// apply does what an event asks for. It may be repeated, and WeChat repeats events: what the user gave after the event
// stays. An event's time is only known to the second, so an event that is repeated within minutes is remembered.
func (p *personalEvents) apply(ctx context.Context, appID string, e push.Event, message []byte) (outcome string, err error) {
	if e.OpenID == "" || !isPersonal(e) {
		return pushIgnored, nil
	}
	key := sha256.Sum256(append([]byte(appID+"\n"), message...))
	if p.isRepeated(key) {
		return pushApplied, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	outcome = pushApplied
	cause := store.Cause{Reason: store.ReasonWeChat}
	var user store.User
	if removal := removalOf(e); e.Event == push.AuthorizationCancelled {
		user, err = p.eraser.EraseIdentity(ctx, appID, e.OpenID, e.Until(), cause)
	} else if removal.NickName || removal.Avatar || removal.Phone {
		user, err = p.eraser.Remove(ctx, appID, e.OpenID, removal, cause)
	} else {
		outcome = pushIgnored
	}
	requestLogFrom(ctx).userID = user.ID
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrIdentity) {
		outcome, err = pushIgnored, nil // not a user of this server
	}
	if err != nil {
		return pushFailed, err
	}
	p.remember(key)
	return outcome, nil
}

// removalOf returns what an event takes away.
func removalOf(e push.Event) store.Removal {
	r := store.Removal{AsOf: e.CreatedAt}
	r.NickName, r.Avatar, r.Phone = e.Withdrawn()
	return r
}

const (
	// rememberEvents is how long an applied event is remembered. WeChat repeats it within a minute.
	rememberEvents = 10 * time.Minute

	// maxRemembered bounds the memory.
	maxRemembered = 10_000
)

func (p *personalEvents) isRepeated(key [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.seen[key])
}

// remember forgets what is too old when there is no room.
func (p *personalEvents) remember(key [sha256.Size]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if len(p.seen) >= maxRemembered {
		for key, until := range p.seen {
			if now.After(until) {
				delete(p.seen, key)
			}
		}
	}
	if len(p.seen) < maxRemembered {
		p.seen[key] = now.Add(rememberEvents)
	}
}
