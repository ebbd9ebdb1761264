package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/store"
)

var (
	firstPhone  = store.Phone{CountryCode: "86", Number: "13800138000"}
	secondPhone = store.Phone{CountryCode: "852", Number: "51234567"}
)

// bind binds a phone number and fails the test on an error.
func (f *fixture) bind(app, openID string, p store.Phone) store.User {
	f.t.Helper()
	user, err := f.users.BindPhone(context.Background(), app, openID, p)
	if err != nil {
		f.t.Fatalf("BindPhone: %v", err)
	}
	return user
}

func TestUsers_BindPhone(t *testing.T) {
	for name, tt := range map[string]struct {
		stored, given store.Phone
		columns       []string
	}{
		"first":           {store.Phone{}, firstPhone, []string{"phone_country_code", "phone_number"}},
		"another":         {firstPhone, secondPhone, []string{"phone_country_code", "phone_number"}},
		"another country": {firstPhone, store.Phone{CountryCode: "1", Number: firstPhone.Number}, []string{"phone_country_code"}},
		"leading zeros stay": {store.Phone{CountryCode: "39", Number: "612345678"},
			store.Phone{CountryCode: "39", Number: "0612345678"}, []string{"phone_number"}},
		"longest": {store.Phone{}, store.Phone{CountryCode: "12345678", Number: strings.Repeat("9", 32)},
			[]string{"phone_country_code", "phone_number"}},
		"same again": {firstPhone, firstPhone, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			f.login(appA, "oBystander", "")
			if tt.stored != (store.Phone{}) {
				user = f.bind(appA, "oAlice", tt.stored)
			}
			before, bystander, boundAt := f.user(user.ID), f.user(user.ID+1), user.PhoneBoundAt
			f.clock.advance(time.Minute)
			f.wire.reset()

			got := f.bind(appA, "oAlice", tt.given)
			want := slices.Clone(tt.columns)
			if want == nil {
				f.wire.wantVerbs(t, "SELECT")
			} else {
				f.wire.wantVerbs(t, "SELECT", "UPDATE")
				want = append(want, "phone_bound_at", "updated_at")
				boundAt = f.clock.now().Truncate(time.Millisecond)
			}
			if got.Phone != tt.given || !got.PhoneBoundAt.Equal(boundAt) {
				t.Errorf("not the number, or bound at %v, want %v", got.PhoneBoundAt, boundAt)
			}
			if again, _ := f.login(appA, "oAlice", ""); again != got {
				t.Error("the row reads another user than was returned")
			}
			f.wantWritten(t, user.ID, before, want)
			if got := changed(bystander, f.user(user.ID+1)); len(got) != 0 {
				t.Errorf("another user changed: %v", got)
			}
		})
	}
}

func TestUsers_BindPhoneInvalid(t *testing.T) {
	f := newFixture(t)
	f.login(appA, "oAlice", "")
	f.bind(appA, "oAlice", firstPhone)
	f.wire.reset()
	for name, p := range map[string]store.Phone{
		"none":              {},
		"no country code":   {Number: "13800138000"},
		"no number":         {CountryCode: "86"},
		"a plus":            {CountryCode: "+86", Number: "13800138000"},
		"a dash":            {CountryCode: "86", Number: "138-00138000"},
		"foreign digits":    {CountryCode: "86", Number: "１３８"},
		"long number":       {CountryCode: "86", Number: strings.Repeat("1", 33)},
		"long country code": {CountryCode: "123456789", Number: "1"},
	} {
		if _, err := f.users.BindPhone(t.Context(), appA, "oAlice", p); err != store.ErrPhone {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.users.BindPhone(t.Context(), "", "oAlice", firstPhone); !errors.Is(err, store.ErrIdentity) {
		t.Errorf("without an appid: %v", err)
	}
	f.wire.wantVerbs(t)
}

func TestUsers_BindPhoneInactive(t *testing.T) {
	f := newFixture(t)
	user, _ := f.login(appA, "oAlice", "")
	f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
	f.wire.reset()
	if got := f.bind(appA, "oAlice", firstPhone); got.Active() || got.Phone != (store.Phone{}) {
		t.Error("a disabled user has a phone number now")
	}
	f.wire.wantVerbs(t, "SELECT")
	if _, err := f.users.BindPhone(t.Context(), appB, "oAlice", firstPhone); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in another app: %v, want ErrNotFound", err)
	}
}

func TestUsers_BindPhoneConcurrent(t *testing.T) {
	// Another write comes between the read and the write.
	t.Run("another write comes in between", func(t *testing.T) {
		for name, tt := range map[string]struct {
			between string
			want    store.Phone
			verbs   []string
		}{
			"another number": {"UPDATE users SET phone_country_code = '1', phone_number = '2025550123' WHERE id = ?",
				firstPhone, []string{"SELECT", "UPDATE", "SELECT", "UPDATE"}},
			"the same number": {"UPDATE users SET phone_country_code = '86', phone_number = '13800138000' WHERE id = ?",
				firstPhone, []string{"SELECT", "UPDATE", "SELECT"}},
			"disabled": {"UPDATE users SET status = 2 WHERE id = ?", store.Phone{}, []string{"SELECT", "UPDATE", "SELECT"}},
			"a profile": {"UPDATE users SET nickname = 'Newer', profile_as_of = '2025-03-03', profile_updated_at = '2025-03-03' WHERE id = ?",
				firstPhone, []string{"SELECT", "UPDATE"}},
		} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				user, _ := f.login(appA, "oAlice", "")
				f.wire.reset()
				f.wire.beforeUpdate(func() error {
					f.exec(tt.between, user.ID)
					return nil
				})
				got := f.bind(appA, "oAlice", firstPhone)
				f.wire.wantVerbs(t, tt.verbs...)
				again, _ := f.login(appA, "oAlice", "")
				if got.Phone != tt.want || again.Phone != tt.want {
					t.Error("unexpected number")
				}
			})
		}
	})

	// Of many concurrent numbers, one is stored as a whole.
	t.Run("concurrent calls", func(t *testing.T) {
		const n = 32
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		concurrently(n, func(i int) {
			p := store.Phone{CountryCode: strings.Repeat("1", 1+i%8), Number: strings.Repeat("5", 1+i%8)}
			if _, err := f.users.BindPhone(t.Context(), appA, "oAlice", p); err != nil {
				t.Error(err)
			}
		})
		user, _ := f.login(appA, "oAlice", "")
		if len(user.Phone.Number) == 0 || len(user.Phone.Number) != len(user.Phone.CountryCode) {
			t.Error("the stored number is mixed from two")
		}
	})
}

func TestUsers_BindPhoneErrors(t *testing.T) {
	f := newFixture(t)
	f.login(appA, "oAlice", "")
	f.wire.sabotage(func(sql string) error {
		if strings.HasPrefix(sql, "UPDATE") {
			return &mysql.MySQLError{Number: 1366, Message: "Incorrect value: '" + firstPhone.Number + "'"}
		}
		return nil
	}, nil)
	_, err := f.users.BindPhone(t.Context(), appA, "oAlice", firstPhone)
	if err == nil || strings.Contains(err.Error(), firstPhone.Number) || strings.Contains(f.logs.String(), firstPhone.Number) {
		t.Error("no error, or one that shows the number")
	}
}
