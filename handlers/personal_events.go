package handlers

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"wxlogin/store"
	"wxlogin/wechat/push"
)

// personalEvents does what WeChat's events of personal data ask for.
type personalEvents struct {
	eraser  Eraser
	timeout time.Duration // of one event

	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time // events that were applied, until when they are remembered
}

func newPersonalEvents(e Eraser, storageTimeout time.Duration) *personalEvents {
	return &personalEvents{eraser: e, timeout: storageTimeout, seen: make(map[[sha256.Size]byte]time.Time)}
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
	if !e.CreatedAt.IsZero() { // else the same message may be of another event
		p.remember(key)
	}
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
