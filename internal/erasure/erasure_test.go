package erasure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/avatar"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
	"wxlogin/store"
)

const appA, appB = "wxaaaaaaaaaaaaaaaa", "wxbbbbbbbbbbbbbbbb"

var byAdmin = store.Cause{Reason: store.ReasonAdmin}

// fixture has Bob, with a session and a picture.
type fixture struct {
	t         *testing.T
	db        *store.DB
	redis     *redistest.Redis
	sessions  *session.Store
	folder    *avatar.Folder
	dir       string
	log       *testenv.Log
	bob       store.User
	bobsToken string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, redis: redistest.New(t), dir: t.TempDir(), log: &testenv.Log{}}
	var err error
	f.db, err = store.Open(mysqltest.NewWithSchema(t), store.Options{})
	f.must(err)
	t.Cleanup(func() { f.db.Close() })
	f.sessions, err = session.New(session.Options{
		Redis: f.redis.Client, KeyPrefix: f.redis.Prefix, Apps: []session.App{{AppID: appA, Secret: "a"}, {AppID: appB, Secret: "b"}},
	})
	f.must(err)
	f.folder, err = avatar.OpenFolder(f.dir, "http://127.0.0.1")
	f.must(err)
	t.Cleanup(func() { f.folder.Close() })

	f.bob, f.bobsToken = f.user(appA, "oBob", "")
	return f
}

// newAlice makes a person who was two users, in two mini-programs, with sessions and pictures. After an erase, it makes
// another one.
func (f *fixture) newAlice() store.User {
	f.t.Helper()
	f.user(appA, "oAliceInA", "")
	f.user(appB, "oAliceInB", "")
	f.user(appA, "oAliceInA", "uAlice")
	alice, _ := f.user(appB, "oAliceInB", "uAlice")
	return alice
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// user logs a user in and gives it a picture.
func (f *fixture) user(appID, openID, unionID string) (user store.User, token string) {
	f.t.Helper()
	ctx := f.t.Context()
	_, _, err := f.db.Users().Login(ctx, store.Identity{AppID: appID, OpenID: openID, UnionID: unionID})
	f.must(err)
	token, err = f.sessions.Create(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: "k"})
	f.must(err)
	path, err := f.folder.Put(ctx, avatar.Picture{Data: []byte("picture of " + openID), Extension: ".jpg"})
	f.must(err)
	user, replaced, err := f.db.Users().UpdateProfile(ctx, appID, openID, store.Profile{AvatarURL: path, Source: store.SourceUser})
	f.must(err)
	f.must(f.folder.Delete(ctx, replaced))
	return user, token
}

func (f *fixture) eraser(users Users, sessions Sessions, avatars Avatars) *Eraser {
	return &Eraser{Users: users, Sessions: sessions, Avatars: avatars, Logger: slog.New(slog.NewTextHandler(f.log, nil))}
}

// whole returns an Eraser that does not fail.
func (f *fixture) whole() *Eraser { return f.eraser(f.db.Users(), f.sessions, f.folder) }

// pending returns the list of deletions.
func (f *fixture) pending() []store.Deletion {
	f.t.Helper()
	list, err := f.db.Users().PendingDeletions(context.Background(), 0, 0, 1000)
	f.must(err)
	return list
}

// wantDone checks that Alice is gone everywhere, and that Bob is not.
func (f *fixture) wantDone(alice store.User) {
	f.t.Helper()
	if list := f.pending(); len(list) != 0 {
		f.t.Errorf("%d deletions are pending", len(list))
	}
	if keys := fmt.Sprint(f.redis.Dump(f.t)); strings.Contains(keys, "oAlice") || len(f.redis.Dump(f.t)) != 2 {
		f.t.Errorf("Redis has %d keys", len(f.redis.Dump(f.t)))
	}
	if _, err := f.sessions.Lookup(f.t.Context(), f.bobsToken); err != nil {
		f.t.Errorf("another user's session: %v", err)
	}
	files, err := os.ReadDir(f.dir)
	f.must(err)
	if len(files) != 1 || avatar.Path+files[0].Name() != f.bob.AvatarURL {
		f.t.Errorf("%d pictures are left", len(files))
	}
	if record, err := f.db.Users().Record(f.t.Context(), alice.ID); err != nil || record.Status != store.StatusErased || len(record.Identities) != 0 {
		f.t.Errorf("the user has status %d, %v", record.Status, err)
	}
}

// cutter counts the calls of all dependencies and fails all of them from one on, as if the process or its network had died:
// before the call does anything, or after.
type cutter struct {
	*store.Users
	sessions *session.Store
	folder   *avatar.Folder

	at    int  // the call that fails; 0 = none
	after bool // it does its work first
	calls int
}

var errCut = errors.New("cut off")

func (c *cutter) call(work func() error) error {
	c.calls++
	if c.at == 0 || c.calls < c.at {
		return work()
	}
	if c.calls == c.at && c.after {
		return errors.Join(errCut, work())
	}
	return errCut
}

func (c *cutter) Erase(ctx context.Context, id uint64, cause store.Cause) (user store.User, err error) {
	err = c.call(func() error { user, err = c.Users.Erase(ctx, id, cause); return err })
	return user, err
}

func (c *cutter) PendingDeletions(ctx context.Context, userID, after uint64, limit int) (list []store.Deletion, err error) {
	err = c.call(func() error { list, err = c.Users.PendingDeletions(ctx, userID, after, limit); return err })
	return list, err
}

func (c *cutter) DeletionDone(ctx context.Context, id uint64) error {
	return c.call(func() error { return c.Users.DeletionDone(ctx, id) })
}

func (c *cutter) RevokeAll(ctx context.Context, appID, openID string) error {
	return c.call(func() error { return c.sessions.RevokeAll(ctx, appID, openID) })
}

func (c *cutter) Delete(ctx context.Context, path string) error {
	return c.call(func() error { return c.folder.Delete(ctx, path) })
}

// runOnce runs a new Eraser until it has worked off the list once.
func (f *fixture) runOnce() {
	ctx, cancel := context.WithCancel(f.t.Context())
	due, ended := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(ended)
		f.whole().run(ctx, due)
	}()
	due <- time.Time{} // received after the first attempt
	cancel()
	<-ended
}

// An erase is cut at each step in turn. The next start of a server finishes it, and so does the next erase.
func TestEraser_Cut(t *testing.T) {
	f := newFixture(t)
	alice := f.newAlice()
	c := &cutter{Users: f.db.Users(), sessions: f.sessions, folder: f.folder}
	_, err := f.eraser(c, c, c).Erase(t.Context(), alice.ID, byAdmin)
	f.must(err)
	f.wantDone(alice)
	if c.calls < 8 {
		t.Fatalf("an erase has only %d steps", c.calls)
	}
	for at := 1; at <= c.calls; at++ {
		for _, after := range []bool{false, true} {
			for _, byRun := range []bool{false, true} {
				f.cut(at, after, byRun)
			}
		}
	}
	if strings.Contains(f.log.String(), "oAlice") {
		t.Error("the log has an openid")
	}
}

// cut cuts an erase, and resumes it by Run or by another erase.
func (f *fixture) cut(at int, after, byRun bool) {
	f.t.Helper()
	alice := f.newAlice()
	warnings := strings.Count(f.log.String(), "still to be deleted")
	c := &cutter{Users: f.db.Users(), sessions: f.sessions, folder: f.folder, at: at, after: after}
	user, err := f.eraser(c, c, c).Erase(f.t.Context(), alice.ID, byAdmin)
	switch {
	case at == 1: // the caller does not know whether the transaction has committed, and repeats the erase
		if !errors.Is(err, errCut) {
			f.t.Fatalf("%v", err)
		}
		if byRun && !after {
			_, err := f.whole().Erase(f.t.Context(), alice.ID, byAdmin)
			f.must(err)
		}
	case err != nil || user.Status != store.StatusErased:
		f.t.Fatalf("step %d: %+v, %v", at, user, err)
	case strings.Count(f.log.String(), "still to be deleted") != warnings+1:
		f.t.Errorf("step %d: there is no warning", at)
	}
	for range 2 { // the second time there is nothing to do
		if byRun {
			f.runOnce()
		} else {
			_, err := f.whole().Erase(f.t.Context(), alice.ID, byAdmin)
			f.must(err)
		}
		f.wantDone(alice)
	}
}

// away is a dependency that fails while it is away.
type away struct {
	Sessions
	Avatars

	mu     sync.Mutex
	isAway bool
	calls  int
}

func (a *away) set(isAway bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.isAway = isAway
}

func (a *away) fails() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls++; a.isAway {
		return errCut
	}
	return nil
}

func (a *away) RevokeAll(ctx context.Context, appID, openID string) error {
	if err := a.fails(); err != nil {
		return err
	}
	return a.Sessions.RevokeAll(ctx, appID, openID)
}

func (a *away) Delete(ctx context.Context, path string) error {
	if err := a.fails(); err != nil {
		return err
	}
	return a.Avatars.Delete(ctx, path)
}

// While Redis is away, pictures are deleted all the same, and the other way round.
func TestEraser_PartAway(t *testing.T) {
	for name, tt := range map[string]struct {
		redis, pictures bool // are away
		left            int  // deletions
	}{
		"Redis":    {true, false, 2},
		"pictures": {false, true, 2},
		"both":     {true, true, 4},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			alice := f.newAlice()
			redis, pictures := &away{Sessions: f.sessions, isAway: tt.redis}, &away{Avatars: f.folder, isAway: tt.pictures}
			e := f.eraser(f.db.Users(), redis, pictures)
			for range 2 {
				if user, err := e.Erase(t.Context(), alice.ID, byAdmin); err != nil || user.Status != store.StatusErased {
					t.Fatalf("%+v, %v", user, err)
				}
			}
			if list := f.pending(); len(list) != tt.left {
				t.Errorf("%d deletions are pending, want %d", len(list), tt.left)
			}
			if left, err := e.WorkOff(t.Context(), 0); left != tt.left || !errors.Is(err, errCut) {
				t.Errorf("%d are left, %v", left, err)
			}
			redis.set(false)
			pictures.set(false)
			if left, err := e.WorkOff(t.Context(), 0); left != 0 || err != nil {
				t.Errorf("%d are left, %v", left, err)
			}
			f.wantDone(alice)
		})
	}
}

// Run tries again until everything is done, and warns once.
func TestEraser_Run(t *testing.T) {
	f := newFixture(t)
	alice := f.newAlice()
	redis := &away{Sessions: f.sessions, isAway: true}
	e := f.eraser(f.db.Users(), redis, f.folder)
	_, err := f.db.Users().Erase(t.Context(), alice.ID, byAdmin)
	f.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	due, ended := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(ended)
		e.run(ctx, due)
	}()
	due <- time.Time{} // received after the first attempt
	due <- time.Time{}
	if list := f.pending(); len(list) != 2 {
		t.Errorf("%d deletions are pending", len(list))
	}
	redis.set(false)
	due <- time.Time{} // the attempt before this may have failed
	due <- time.Time{}
	f.wantDone(alice)
	cancel()
	<-ended
	if n := strings.Count(f.log.String(), "still to be deleted"); n != 1 {
		t.Errorf("%d warnings: %s", n, f.log.String())
	}
}

func TestEraser_WithoutUploads(t *testing.T) {
	f := newFixture(t)
	alice := f.newAlice()
	_, _, err := f.db.Users().UpdateProfile(t.Context(), appA, "oBob", store.Profile{AvatarURL: "https://thirdwx.qlogo.cn/1/132"})
	f.must(err)
	e := f.eraser(f.db.Users(), f.sessions, nil)
	for _, id := range []uint64{alice.ID, f.bob.ID} {
		_, err := e.Erase(t.Context(), id, byAdmin)
		f.must(err)
	}
	list := f.pending() // pictures of this server wait for one that can delete them; WeChat's need not be deleted
	if len(list) != 2 || !strings.HasPrefix(list[0].AvatarURL, avatar.Path) || !strings.HasPrefix(list[1].AvatarURL, avatar.Path) {
		t.Errorf("pending: %d", len(list))
	}
	if left, err := e.WorkOff(t.Context(), 0); left != 2 || !errors.Is(err, errNoAvatars) {
		t.Errorf("%d are left, %v", left, err)
	}
	if left, err := f.whole().WorkOff(t.Context(), 0); left != 0 || err != nil {
		t.Errorf("%d are left, %v", left, err)
	}
}

// An erase goes on if its caller is gone, but not before MySQL has committed it.
func TestEraser_CallerGone(t *testing.T) {
	f := newFixture(t)
	alice := f.newAlice()
	ctx, cancel := context.WithCancel(t.Context())
	gone := &goneAfterErase{f.db.Users(), cancel}
	if _, err := f.eraser(gone, f.sessions, f.folder).Erase(ctx, alice.ID, byAdmin); err != nil {
		t.Fatal(err)
	}
	f.wantDone(alice)
	if _, err := f.whole().Erase(ctx, f.bob.ID, byAdmin); !errors.Is(err, context.Canceled) {
		t.Errorf("gone before the erase: %v", err)
	}
	f.wantDone(alice) // Bob is there
}

type goneAfterErase struct {
	*store.Users
	cancel func()
}

func (g *goneAfterErase) Erase(ctx context.Context, id uint64, c store.Cause) (store.User, error) {
	defer g.cancel()
	return g.Users.Erase(ctx, id, c)
}

// A removed avatar's file goes; the sessions stay.
func TestEraser_Remove(t *testing.T) {
	f := newFixture(t)
	alice := f.newAlice()
	before := len(f.redis.Dump(t))
	user, err := f.whole().Remove(t.Context(), appA, "oAliceInA", store.Removal{Avatar: true}, byAdmin)
	if err != nil || user.ID != alice.ID || user.AvatarURL != "" {
		t.Fatalf("%+v, %v", user, err)
	}
	files, err := os.ReadDir(f.dir)
	f.must(err)
	if len(files) != 1 || len(f.pending()) != 0 || len(f.redis.Dump(t)) != before {
		t.Errorf("%d files, %d pending, %d keys", len(files), len(f.pending()), len(f.redis.Dump(t)))
	}
	if _, err := f.whole().EraseIdentity(t.Context(), appB, "oAliceInB", time.Time{}, byAdmin); err != nil {
		t.Fatal(err)
	}
	f.wantDone(alice)
	if _, err := f.whole().EraseIdentity(t.Context(), appB, "oAliceInB", time.Time{}, byAdmin); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
}

// More deletions than are read at a time.
func TestEraser_LongList(t *testing.T) {
	users := &listedDeletions{}
	for id := range uint64(2*batchSize + 1) {
		users.list = append(users.list, store.Deletion{ID: id + 1, UserID: 7, AvatarURL: "https://example.com/" + fmt.Sprint(id)})
	}
	var log bytes.Buffer
	e := &Eraser{Users: users, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	users.failing = 5
	if left, err := e.WorkOff(t.Context(), 0); left != 1 || !errors.Is(err, errCut) || len(users.list) != 1 {
		t.Errorf("%d are left, %v, %d on the list", left, err, len(users.list))
	}
	users.failing = 0
	if left, err := e.WorkOff(t.Context(), 0); left != 0 || err != nil || len(users.list) != 0 {
		t.Errorf("%d are left, %v, %d on the list", left, err, len(users.list))
	}
}

// listedDeletions is a list of deletions in memory.
type listedDeletions struct {
	Users
	list    []store.Deletion
	failing uint64 // the deletion that cannot be removed from the list
}

func (l *listedDeletions) PendingDeletions(_ context.Context, _, after uint64, limit int) (part []store.Deletion, _ error) {
	for _, d := range l.list {
		if d.ID > after && len(part) < limit {
			part = append(part, d)
		}
	}
	return part, nil
}

func (l *listedDeletions) DeletionDone(_ context.Context, id uint64) error {
	if id == l.failing {
		return errCut
	}
	for i, d := range l.list {
		if d.ID == id {
			l.list = append(l.list[:i:i], l.list[i+1:]...)
			return nil
		}
	}
	return nil
}
