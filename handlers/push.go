package handlers

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/request"
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
