package handlers

import (
	"context"
	"net/http"
	"time"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// updateAnswer is what POST /updateUserInfo answers.
type updateAnswer struct {
	Status    int  `json:"status"`
	Anonymous bool `json:"anonymous"` // what was just sent was only WeChat's placeholder
	profileAnswer
}

// updateUserInfo is phase two: token and open data in, profile filled in and out.
func (p *public) updateUserInfo(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	sess, err := p.updatedSession(ctx, r, f)
	if err != nil {
		return err
	}
	given, err := p.givenProfile(ctx, sess, f)
	if err != nil {
		return err
	}
	user, err := p.updateProfile(ctx, sess, given.profile())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, updateAnswer{
		Status: http.StatusOK, Anonymous: given.anonymous(), profileAnswer: p.profileAnswer(user),
	})
}

// given is a profile that came with a request.
type given struct {
	wechat.UserInfo
	source store.ProfileSource
	// keepsPicture says that the avatar that was given is the one that the user has.
	keepsPicture bool
}

// anonymous reports whether nothing was given but WeChat's placeholder.
func (g given) anonymous() bool { return !g.keepsPicture && g.IsPlaceholder() }

// givenProfile is what the person typed, or else what WeChat encrypted.
func (p *public) givenProfile(ctx context.Context, sess session.Session, f request.Fields) (given, error) {
	if isTyped(f) {
		return p.typedProfile(ctx, sess, f)
	}
	data, err := openDataOf(f)
	if err != nil {
		return given{}, err
	}
	info, err := openWithinLimit(ctx, p, sess, data.openWith)
	return fromWeChat(info), err
}

// updatedSession finds the session of a request that changes its user, and counts it for the user: all sessions share the
// limit, because a user can log in again at will. Requests without a session are not counted: a flood of them would fill the
// counters.
func (p *public) updatedSession(ctx context.Context, r *http.Request, f request.Fields) (session.Session, error) {
	token, err := request.Token(r.Header, f)
	if err != nil {
		return session.Session{}, err
	}
	sess, err := p.findSession(ctx, token)
	if err != nil {
		return session.Session{}, err
	}
	if !p.updates.Allow(userKey(sess)) {
		return session.Session{}, p.refused(updateRate)
	}
	return sess, nil
}

func (p *public) findSession(ctx context.Context, token string) (session.Session, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	sess, err := p.sessions.Lookup(ctx, token)
	scopeOf(ctx).appID = sess.AppID
	return sess, err
}

// profile is the part of it that is worth keeping: nothing of a placeholder, whose language says nothing. What was typed is as
// new as the request.
func (g given) profile() store.Profile {
	if g.anonymous() {
		return store.Profile{}
	}
	info := g.WithoutPlaceholders()
	p := store.Profile{
		NickName: info.NickName, AvatarURL: info.AvatarURL, Gender: info.Gender,
		Country: info.Country, Province: info.Province, City: info.City, Language: info.Language,
		Source: g.source,
	}
	if g.source == store.SourceWeChat {
		p.AsOf = time.Unix(info.Watermark.Timestamp, 0)
	}
	return p
}
