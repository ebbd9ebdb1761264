package contract

import (
	"net/http"
	"strconv"
	"strings"
)

// Answer is what there is to see of an answer.
type Answer struct {
	Status      int
	ContentType string
	RetryAfter  string
	Challenge   string // WWW-Authenticate
	RequestID   string // X-Request-Id
	Body        []byte
}

// AnswerOf takes from a response what is looked at. The body was read by the caller.
func AnswerOf(resp *http.Response, body []byte) Answer {
	h := resp.Header
	return Answer{
		Status: resp.StatusCode, ContentType: h.Get("Content-Type"), RetryAfter: h.Get("Retry-After"),
		Challenge: h.Get("Www-Authenticate"), RequestID: h.Get("X-Request-Id"), Body: body,
	}
}

// Breach is how an answer breaks the contract. It holds nothing of the answer but a listed code.
type Breach string

func (b Breach) Error() string { return string(b) }

// Problem is the body of an error answer.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Action    string `json:"action"` // None, Relogin or Retry
	RequestID string `json:"requestId"`

	RetryAfter int `json:"-"` // seconds; 0 where the action is not Retry
}

// ReadProblem reads the answer to the request of that id as an error. Its own error is a Breach.
func ReadProblem(a Answer, requestID string) (Problem, error) {
	if a.RequestID != requestID {
		return Problem{}, errOtherRequest
	}
	var b Problem
	if err := strict(a.Body, &b); err != nil {
		return Problem{}, Breach("no problem: " + err.Error())
	}
	p, listed := promises[b.Code]
	switch {
	case !listed:
		return Problem{}, Breach("a problem with a code that is not listed")
	case a.Status != p.Status || b.Status != p.Status:
		return Problem{}, Breach(b.Code + " with another status")
	case b.Action != p.Action:
		return Problem{}, Breach(b.Code + " with another action")
	case !strings.HasPrefix(a.ContentType, "application/problem+json"):
		return Problem{}, Breach(b.Code + " that is not problem+json")
	case b.RequestID != requestID || b.Title == "" || b.Detail == "" || b.Type == "":
		return Problem{}, Breach(b.Code + " that is not whole")
	case (p.Status == http.StatusUnauthorized) != (a.Challenge == "Bearer"):
		return Problem{}, Breach(b.Code + " with the wrong WWW-Authenticate")
	}
	var err error
	b.RetryAfter, err = retryAfter(b.Code, p, a.RetryAfter)
	return b, err
}

func retryAfter(code string, p Promise, value string) (int, error) {
	if p.Action != Retry {
		if value != "" {
			return 0, Breach(code + " with a Retry-After")
		}
		return 0, nil
	}
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 1 {
		return 0, Breach(code + " without a proper Retry-After")
	}
	return seconds, nil
}
