package push_test

import (
	"testing"
	"time"

	"wxlogin/wechat/push"
)

func TestEvent_Withdrawn(t *testing.T) {
	for name, tt := range map[string]struct {
		event                   push.Event
		nickName, avatar, phone bool
	}{
		"cleaned":    {push.Event{Event: push.UserInfoModified}, true, true, false},
		"both":       {push.Event{Event: push.AuthorizationRevoked, Revoked: []int{6}}, true, true, false},
		"nickname":   {push.Event{Event: push.AuthorizationRevoked, Revoked: []int{19}}, true, false, false},
		"avatar":     {push.Event{Event: push.AuthorizationRevoked, Revoked: []int{20}}, false, true, false},
		"phone":      {push.Event{Event: push.AuthorizationRevoked, Revoked: []int{8}}, false, false, true},
		"several":    {push.Event{Event: push.AuthorizationRevoked, Revoked: []int{1, 8, 99, 19, 0}}, true, false, true},
		"other data": {push.Event{Event: push.AuthorizationRevoked, Revoked: []int{1, 2, 13, 68}}, false, false, false},
		"nothing":    {push.Event{Event: push.AuthorizationRevoked}, false, false, false},
	} {
		if n, a, p := tt.event.Withdrawn(); n != tt.nickName || a != tt.avatar || p != tt.phone {
			t.Errorf("%s: %v, %v, %v", name, n, a, p)
		}
	}
}

func TestEvent_Until(t *testing.T) {
	second := time.Date(2026, 11, 28, 12, 0, 7, 0, time.UTC)
	for at, want := range map[time.Time]time.Time{
		{}: {}, second: second.Add(999 * time.Millisecond), second.Add(time.Millisecond): second.Add(999 * time.Millisecond),
	} {
		if got := (push.Event{CreatedAt: at}).Until(); !got.Equal(want) {
			t.Errorf("%v: %v, want %v", at, got, want)
		}
	}
}
