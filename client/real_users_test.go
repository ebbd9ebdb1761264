package client_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/client"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

// post sends a form to the public listener, as a mini-program does.
func (s *system) post(t *testing.T, path string, form url.Values) {
	t.Helper()
	resp, err := http.PostForm(s.Public()+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d", path, resp.StatusCode)
	}
}

// user returns a user as the client reads it.
func (s *system) user(t *testing.T, id uint64) client.User {
	t.Helper()
	u, err := s.client.User(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// kinds returns the changes after a number, such as "disabled 7".
func (s *system) kinds(t *testing.T, after uint64) (kinds []string, last uint64) {
	t.Helper()
	for change, err := range s.client.Changes(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		kinds, last = append(kinds, fmt.Sprint(change.Kind, " ", change.UserID)), change.Seq
	}
	return kinds, last
}

func TestClient_User(t *testing.T) {
	s := startSystem(t)
	begin := time.Now().Add(-time.Second)
	token := s.Login(t, alice)
	phone := s.Simulator.Device(servertest.AppID, alice)
	s.post(t, "/updateUserInfo", url.Values{"token": {token}, "nickName": {"爱丽丝"}})
	s.post(t, "/bindPhone", url.Values{"token": {token}, "code": {phone.PhoneCode()}})
	s.Login(t, bob)

	got := s.user(t, s.id(t, alice))
	if got.ID != s.id(t, alice) || got.Status != client.StatusActive || got.UserInfo.NickName != "爱丽丝" || got.UnionID != alice.UnionID ||
		got.PhoneNumber != "+86"+phone.PhoneNumber() || got.ExternalID != "" || got.MergedFrom != nil {
		t.Errorf("alice is %+v", got)
	}
	if len(got.Identities) != 1 || got.Identities[0].AppID != servertest.AppID || got.Identities[0].OpenID != alice.OpenID {
		t.Errorf("alice's identities are %+v", got.Identities)
	}
	for name, at := range map[string]time.Time{
		"CreatedAt": got.CreatedAt, "UpdatedAt": got.UpdatedAt, "LastLoginAt": got.LastLoginAt, "LastSeenAt": got.LastSeenAt,
		"ProfileUpdatedAt": got.ProfileUpdatedAt, "PhoneBoundAt": got.PhoneBoundAt, "an identity": got.Identities[0].CreatedAt,
	} {
		if at.Before(begin) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("%s is %v", name, at)
		}
	}
	got = s.user(t, s.id(t, bob))
	if got.PhoneNumber != "" || !got.PhoneBoundAt.IsZero() || !got.ProfileUpdatedAt.IsZero() || got.UnionID != "" {
		t.Errorf("bob is %+v", got)
	}
	if _, err := s.client.User(t.Context(), 999999); !errors.Is(err, client.ErrNotFound) {
		t.Error(err)
	}
}

func TestClient_Users(t *testing.T) {
	s := startSystem(t)
	number := wechattest.User{Name: "carol", OpenID: "oCarol", PhoneNumber: "13800138000", CountryCode: "86"}
	other := wechattest.User{Name: "dave", OpenID: "oDave", PhoneNumber: "13800138000", CountryCode: "86"}
	var ids []uint64
	for _, user := range []wechattest.User{number, other} {
		token := s.Login(t, user)
		s.post(t, "/bindPhone", url.Values{"token": {token}, "code": {s.Simulator.Device(servertest.AppID, user).PhoneCode()}})
		ids = append(ids, s.id(t, user))
	}
	wantIDs := func(t *testing.T, users []client.User, err error, want ...uint64) {
		t.Helper()
		var got []uint64
		for _, u := range users {
			got = append(got, u.ID)
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("users %v, %v, want %v", got, err, want)
		}
	}
	t.Run("by id", func(t *testing.T) {
		asked := slices.Clone(ids)
		for unknown := range uint64(150) { // in two requests
			asked = append(asked, 100000+unknown)
		}
		users, err := s.client.Users(t.Context(), asked...)
		wantIDs(t, users, err, ids...)
	})
	t.Run("two people with one number", func(t *testing.T) {
		users, err := s.client.UsersByPhone(t.Context(), "+8613800138000")
		wantIDs(t, users, err, ids...)
	})
	t.Run("a number of no user", func(t *testing.T) {
		users, err := s.client.UsersByPhone(t.Context(), "+8613900139000")
		wantIDs(t, users, err)
	})
	t.Run("no number", func(t *testing.T) {
		if _, err := s.client.UsersByPhone(t.Context(), "carol"); !errors.Is(err, client.ErrInvalidRequest) {
			t.Error(err)
		}
	})
}

func TestClient_ExternalID(t *testing.T) {
	s := startSystem(t)
	token := s.Login(t, alice)
	s.Login(t, bob)
	const external = "crm/7 ?&=+%"
	id := strings.ReplaceAll(external, " ", "")
	if err := s.client.SetExternalID(t.Context(), s.id(t, alice), external); !errors.Is(err, client.ErrInvalidRequest) {
		t.Errorf("an id with a space: %v", err)
	}
	for range 2 {
		if err := s.client.SetExternalID(t.Context(), s.id(t, alice), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.client.SetExternalID(t.Context(), s.id(t, bob), id); !errors.Is(err, client.ErrConflict) {
		t.Errorf("the id of another user: %v", err)
	}
	if got, err := s.client.UserByExternalID(t.Context(), id); err != nil || got.ID != s.id(t, alice) || got.ExternalID != id {
		t.Errorf("user %d with %q, %v", got.ID, got.ExternalID, err)
	}
	if got, err := s.client.Introspect(t.Context(), token); err != nil || got.ExternalID != id {
		t.Errorf("the token's external id is %q, %v", got.ExternalID, err)
	}
	for range 2 {
		if err := s.client.RemoveExternalID(t.Context(), s.id(t, alice)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.client.UserByExternalID(t.Context(), id); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the removed id: %v", err)
	}
	if err := s.client.SetExternalID(t.Context(), s.id(t, bob), id); err != nil {
		t.Error(err)
	}
}

func TestClient_SetStatus(t *testing.T) {
	s := startSystem(t)
	token := s.Login(t, alice)
	id := s.id(t, alice)
	if err := s.client.SetStatus(t.Context(), id, client.StatusDisabled, "spam"); err != nil {
		t.Fatal(err)
	}
	s.wantInvalid(t, token)
	if got := s.user(t, id); got.Status != client.StatusDisabled {
		t.Errorf("the user is %s", got.Status)
	}
	if err := s.client.SetStatus(t.Context(), id, client.StatusActive, "appeal"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Introspect(t.Context(), token); err != nil {
		t.Error(err)
	}
	if err := s.client.SetStatus(t.Context(), id, client.StatusErased, ""); !errors.Is(err, client.ErrInvalidRequest) {
		t.Errorf("a status that cannot be set: %v", err)
	}
	if err := s.client.SetStatus(t.Context(), 999999, client.StatusDisabled, ""); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("an unknown user: %v", err)
	}
}

func TestClient_Changes(t *testing.T) {
	s := startSystem(t)
	s.Login(t, alice)
	s.Login(t, bob)
	a, b := s.id(t, alice), s.id(t, bob)
	if kinds, _ := s.kinds(t, 0); kinds != nil {
		t.Fatalf("before any change: %q", kinds)
	}
	for _, change := range []error{
		s.client.SetStatus(t.Context(), a, client.StatusDisabled, "spam"),
		s.client.SetStatus(t.Context(), a, client.StatusActive, "appeal"),
		s.client.SetExternalID(t.Context(), b, "crm-7"),
	} {
		if change != nil {
			t.Fatal(change)
		}
	}
	for change, err := range s.client.Changes(t.Context(), 0) {
		if err != nil || change.Kind != client.ChangeDisabled || change.UserID != a || change.Reason != "spam" || change.Actor == "" ||
			time.Since(change.At).Abs() > time.Hour {
			t.Errorf("the first change is %+v, %v", change, err)
		}
		break
	}
	kinds, last := s.kinds(t, 0)
	if want := []string{fmt.Sprint("disabled ", a), fmt.Sprint("enabled ", a), fmt.Sprint("external_id ", b)}; !slices.Equal(kinds, want) {
		t.Errorf("changes %q, want %q", kinds, want)
	}
	if err := s.client.Erase(t.Context(), b, ""); err != nil {
		t.Fatal(err)
	}
	if kinds, _ := s.kinds(t, last); !slices.Equal(kinds, []string{fmt.Sprint("erased ", b)}) {
		t.Errorf("after the last change: %q", kinds)
	}
	if got := s.user(t, b); got.ID != b || got.Status != client.StatusErased || got.Identities != nil || !got.CreatedAt.IsZero() {
		t.Errorf("the erased user is %+v", got)
	}
}

// More changes than one response has.
func TestClient_Changes_Many(t *testing.T) {
	s := startSystem(t)
	s.Login(t, alice)
	id := s.id(t, alice)
	for i := range 125 {
		for _, status := range []client.Status{client.StatusDisabled, client.StatusActive} {
			if err := s.client.SetStatus(t.Context(), id, status, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if kinds, _ := s.kinds(t, 0); len(kinds) != 250 {
		t.Errorf("%d changes", len(kinds))
	}
}

// A merged user's id stands for the user that stayed.
func TestClient_MergedUser(t *testing.T) {
	s := startSystem(t)
	s.Login(t, alice)
	s.Login(t, bob)
	a, b := s.id(t, alice), s.id(t, bob)
	s.Exec(t, "UPDATE wechat_identities SET user_id = ? WHERE user_id = ?", a, b)
	s.Exec(t, "UPDATE users SET status = 3, merged_into = ? WHERE id = ?", a, b)
	if got := s.user(t, b); got.ID != a || !slices.Equal(got.MergedFrom, []uint64{b}) || len(got.Identities) != 2 {
		t.Errorf("the merged user is %+v", got)
	}
	if users, err := s.client.Users(t.Context(), a, b); err != nil || len(users) != 1 || users[0].ID != a {
		t.Errorf("%+v, %v", users, err)
	}
	if err := s.client.SetStatus(t.Context(), b, client.StatusDisabled, ""); !errors.Is(err, client.ErrNotFound) {
		t.Error(err)
	}
	if err := s.client.Erase(t.Context(), b, ""); err != nil {
		t.Fatal(err)
	}
	if got := s.user(t, a); got.Status != client.StatusErased {
		t.Errorf("the user that stayed is %s", got.Status)
	}
}

func TestClient_Sign(t *testing.T) {
	s := startSystem(t)
	phone := s.Simulator.Device(servertest.AppID, alice)
	token := s.Login(t, alice)
	for _, data := range []string{`{"openid":"oAlice","env":0}`, "a=b&c=d+%20 茶", strings.Repeat("x", 16<<10)} {
		mac := hmac.New(sha256.New, []byte(phone.SessionKey()))
		mac.Write([]byte(data))
		if got, err := s.client.Sign(t.Context(), token, data); err != nil || got != hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %s, %v", got, err)
		}
	}
	if _, err := s.client.Sign(t.Context(), token, strings.Repeat("x", 16<<10+1)); !errors.Is(err, client.ErrInvalidRequest) {
		t.Errorf("data that is too long: %v", err)
	}
	for _, invalid := range []string{"", "x", strings.Repeat("A", 43)} {
		if _, err := s.client.Sign(t.Context(), invalid, "data"); !errors.Is(err, client.ErrInvalidToken) {
			t.Errorf("an invalid token: %v", err)
		}
	}
	s.Exec(t, "UPDATE users SET status = 2 WHERE id = ?", s.id(t, alice))
	if got, err := s.client.Sign(t.Context(), token, "data"); !errors.Is(err, client.ErrBlocked) || got != "" {
		t.Errorf("a blocked user: %q, %v", got, err)
	}
}

func TestClient_Decrypt(t *testing.T) {
	s := startSystem(t)
	token := s.Login(t, alice)
	open := func(user wechattest.User, content string) (encryptedData, iv string) {
		plain := fmt.Sprintf(`{%s,"watermark":{"timestamp":%d,"appid":%q}}`, content, time.Now().Unix(), servertest.AppID)
		return wechattest.Seal(s.Simulator.Device(servertest.AppID, user).SessionKey(), []byte(plain))
	}
	const steps = `"stepInfoList":[{"timestamp":1445866601,"step":9007199254740993}]`
	data, iv := open(alice, steps)
	if got, err := s.client.Decrypt(t.Context(), token, data, iv); err != nil || !strings.HasPrefix(string(got), "{"+steps) {
		t.Errorf("%s, %v", got, err)
	}
	s.Login(t, bob)
	foreign, foreignIV := open(bob, steps)
	if _, err := s.client.Decrypt(t.Context(), token, foreign, foreignIV); !errors.Is(err, client.ErrUndecryptable) {
		t.Errorf("data of another user: %v", err)
	}
	if _, err := s.client.Decrypt(t.Context(), strings.Repeat("A", 43), data, iv); !errors.Is(err, client.ErrInvalidToken) {
		t.Errorf("an unknown token: %v", err)
	}
}
