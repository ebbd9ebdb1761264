package main

import (
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/store"
)

func TestUser_Erase(t *testing.T) {
	o := newOperator(t)
	alice, merged := o.alice()
	o.login(appID, "oBob", "")
	o.profile("oBob", store.Profile{NickName: "Bob"})
	o.session(appID, "oBob")
	bobsKeys := len(o.keys()) / 3 // each session has a record and is in an index
	o.unchanged(func() {
		preview := o.want(exitOK, "would be erased", "user", "erase", id(alice), "-dry-run")
		for _, word := range []string{"identities: 2", "pictures: 1", "phone number: yes", "merged into it: " + id(merged)} {
			if !strings.Contains(preview, word) {
				t.Errorf("the dry run does not print %q:\n%s", word, preview)
			}
		}
		o.want(exitFailed, "no user with this id", "user", "erase", "99999")
		o.want(exitFailed, "no user with this id", "user", "erase", "99999", "-dry-run")
	})
	if len(o.keys()) != 6 || len(o.files()) != 1 {
		t.Fatalf("keys %q, files %q", o.keys(), o.files())
	}

	o.want(exitOK, "identities: 2", "user", "erase", "-by", "li", id(alice), "-reason", "asked by mail")
	for query, want := range map[string]string{
		"SELECT CONCAT_WS(' ', status, nickname, unionid, phone_number) FROM users WHERE id = " + id(alice):     "4 ",
		"SELECT CONCAT_WS(' ', kind, reason, actor, note) FROM user_changes WHERE kind = 'erased'":              "erased admin li asked by mail",
		"SELECT GROUP_CONCAT(openid) FROM wechat_identities":                                                    "oBob",
		"SELECT COUNT(*) FROM pending_deletions":                                                                "0",
		"SELECT CONCAT_WS(' ', status, nickname, avatar_url, phone_number) FROM users WHERE id = " + id(merged): "3  ",
	} {
		if got := o.column(query); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if len(o.keys()) != bobsKeys || len(o.files()) != 0 {
		t.Errorf("left are keys %q, files %q", o.keys(), o.files())
	}
	o.unchanged(func() {
		o.want(exitOK, "erased before", "user", "erase", id(alice), "-by", "wu")
		o.want(exitOK, "erased before", "user", "erase", id(merged), "-by", "wu")
		o.want(exitOK, "erased before", "user", "erase", id(alice), "-dry-run")
	})
	if user := o.login(appID, "oAlice", "uAlice"); user.ID == alice.ID || user.NickName != "" {
		t.Errorf("the next login is %+v", user)
	}
}

// A merged user's id erases the survivor.
func TestUser_EraseMerged(t *testing.T) {
	o := newOperator(t)
	alice, merged := o.alice()
	out := o.want(exitOK, "user "+id(alice)+" is erased", "user", "erase", id(merged))
	if !strings.Contains(out, "user "+id(merged)+" was merged into user "+id(alice)) {
		t.Errorf("it prints %q", out)
	}
	if got := o.column("SELECT user_id FROM user_changes WHERE kind = 'erased'"); !slices.Equal(got, []string{id(alice)}) {
		t.Errorf("erased are %q", got)
	}
}

// If Redis or the pictures cannot be reached, the user is erased, and the command says what is left. The next run deletes
// that.
func TestUser_EraseWithoutRedis(t *testing.T) {
	o := newOperator(t)
	alice, _ := o.alice()
	all := slices.Clone(o.environ)
	o.environ = append(o.environ[:3:3], "REDIS_URL=redis://"+testenv.FreeAddr(t)) // and no AVATAR_DIR
	o.want(exitFailed, "3 sessions or pictures are still to be deleted", "user", "erase", id(alice))
	if got := o.column("SELECT status FROM users WHERE id = ?", alice.ID); got[0] != "4" {
		t.Errorf("status %s", got[0])
	}
	if len(o.keys()) != 4 || len(o.files()) != 1 {
		t.Errorf("keys %q, files %q", o.keys(), o.files())
	}
	o.environ = all
	o.unchanged(func() { o.want(exitOK, "would be deleted now: 3", "user", "erase", id(alice), "-dry-run") })
	o.want(exitOK, "nothing is left", "user", "erase", id(alice))
	if len(o.keys()) != 0 || len(o.files()) != 0 || len(o.column("SELECT id FROM pending_deletions")) != 0 {
		t.Errorf("left are keys %q, files %q", o.keys(), o.files())
	}
	if n := len(o.column("SELECT seq FROM user_changes WHERE kind = 'erased'")); n != 1 {
		t.Errorf("the erase is on record %d times", n)
	}
}

// What waiting does not solve ends the command with 2 before anything is erased.
func TestUser_EraseMisconfigured(t *testing.T) {
	o := newOperator(t)
	alice, _ := o.alice()
	o.environ = append(o.environ, "REDIS_URL=redis://"+redistest.RunServer(t, "requirepass right").Addr)
	o.unchanged(func() { o.want(exitUsage, "REDIS_URL: Redis refuses", "user", "erase", id(alice)) })
}
