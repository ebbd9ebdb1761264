package store_test

import (
	"fmt"
	"testing"
	"time"

	"wxlogin/store"
)

// refused are the values of users.status that must not be taken for active: known ones, and some that this version does not know.
var refused = []int{0, 2, 3, 4, 5, 7, 255}

func TestUser_Active(t *testing.T) {
	for _, status := range refused {
		t.Run(fmt.Sprint("status ", status), func(t *testing.T) {
			f := newFixture(t)
			made, _ := f.login(appA, "oAlice", "")
			f.update(appA, "oAlice", typed("Alice"))
			f.exec("UPDATE users SET status = ?", status)
			f.clock.advance(48 * time.Hour)
			before := f.user(made.ID)
			login, created := f.login(appA, "oAlice", "")
			update := f.update(appA, "oAlice", typed("Mallory"))
			bind := f.bind(appA, "oAlice", firstPhone)
			find, err := f.users.Find(t.Context(), appA, "oAlice")
			for name, user := range map[string]store.User{"Login": login, "UpdateProfile": update, "BindPhone": bind, "Find": find} {
				if user.Active() || user.ID != made.ID || err != nil {
					t.Errorf("%s: user %d is active: %v, %v", name, user.ID, user.Active(), err)
				}
			}
			if created || f.db.PendingLoginDays() != 1 {
				t.Errorf("created %v, %d logins are counted, want 1", created, f.db.PendingLoginDays())
			}
			f.wantWritten(t, made.ID, before, nil)
		})
	}
}

// Whichever of the two is older, the user who is left is not active if one of them was not.
func TestUsers_Login_mergesNoStatusAway(t *testing.T) {
	for name, holderIsFirst := range orders {
		for _, status := range refused {
			for _, who := range []string{"holder", "left"} {
				t.Run(fmt.Sprint(name, " ", who, " has status ", status), func(t *testing.T) {
					f := newFixture(t)
					leftID, holderID := twoUsers(f, holderIsFirst, store.Profile{}, store.Profile{})
					id := map[string]uint64{"holder": holderID, "left": leftID}[who]
					f.exec("UPDATE users SET status = ? WHERE id = ?", status, id)
					f.login(appA, "oAliceInA", "uAlice")
					openID, app := "oAliceInA", appA
					if who == "holder" {
						openID, app = "oAliceInB", appB
					}
					if user, _ := f.login(app, openID, "uAlice"); user.Active() {
						t.Errorf("user %+v", user)
					}
				})
			}
		}
	}
}
