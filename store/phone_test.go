package store_test

import (
	"context"
	"errors"
	"fmt"
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

// picture is an update as /uploadAvatar sends it.
func picture(name string) store.Profile {
	return store.Profile{AvatarURL: "https://pictures.example/" + name, Source: store.SourceUser}
}

func TestUsers_UpdateProfileReplaced(t *testing.T) {
	t.Run("it is the avatar that this update replaced", testReplaced)
	t.Run("a statement for several writes some of them", testReplacedInBatch)
	t.Run("a picture that a person chose goes alone", testPicturesGoAlone)
	t.Run("each picture is replaced once", testReplacedAtOnce)
}

func testReplaced(t *testing.T) {
	const old = "https://pictures.example/old"
	for name, tt := range map[string]struct {
		stored  store.Profile
		between string // another write comes between the read and the write
		given   store.Profile
		want    string
	}{
		"the first avatar replaces none":  {store.Profile{}, "", picture("new"), ""},
		"another avatar":                  {picture("old"), "", picture("new"), old},
		"WeChat's avatar":                 {picture("old"), "", store.Profile{AvatarURL: "https://thirdwx.qlogo.cn/1"}, old},
		"the same avatar again":           {picture("old"), "", picture("old"), ""},
		"a nickname alone":                {picture("old"), "", store.Profile{NickName: "Alice"}, ""},
		"older data":                      {picture("old"), "", store.Profile{AvatarURL: "https://a/1", AsOf: early}, ""},
		"another write replaced it first": {picture("old"), "avatar_url = 'https://a/2', profile_as_of = '2025-03-03', profile_updated_at = '2025-03-03'", picture("new"), "https://a/2"},
		"a newer write makes it out of date": {store.Profile{AvatarURL: old, AsOf: early}, "avatar_url = 'https://a/2', profile_as_of = '2025-03-03', profile_updated_at = '2025-03-03'",
			store.Profile{AvatarURL: "https://a/1", AsOf: late}, ""},
		"blocked in between": {picture("old"), "status = 2", picture("new"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			f.update(appA, "oAlice", tt.stored)
			done := tt.between == ""
			f.wire.sabotage(func(sql string) error {
				if strings.HasPrefix(sql, "UPDATE") && !done {
					done = true
					f.exec("UPDATE users SET "+tt.between+" WHERE id = ?", user.ID)
				}
				return nil
			}, nil)
			_, replaced, err := f.users.UpdateProfile(t.Context(), appA, "oAlice", tt.given)
			if err != nil || replaced != tt.want || !done {
				t.Errorf("replaced %q, %v; want %q", replaced, err, tt.want)
			}
		})
	}
}

// A shared statement writes all but one of its updates. Each of the others is sent again, finds itself written, and
// still returns what it replaced.
func testReplacedInBatch(t *testing.T) {
	b := newWriterFixture(t, 3)
	b.exec("UPDATE users SET avatar_url = CONCAT('https://a/old', id) WHERE id IN (?, ?, ?)", b.ids[0], b.ids[1], b.ids[2])
	for i := range 3 {
		b.calls.Go(func() {
			given := store.Profile{AvatarURL: fmt.Sprint("https://a/new", i)}
			_, replaced, err := b.users.UpdateProfile(t.Context(), appA, fmt.Sprintf("oUser%d", i), given)
			want := fmt.Sprint("https://a/old", b.ids[i])
			if i == 1 {
				want = ""
			}
			if err != nil || replaced != want {
				t.Errorf("user %d: replaced %q, %v; want %q", i, replaced, err, want)
			}
		})
	}
	b.waitForQueued(3)
	b.exec("UPDATE users SET status = 2 WHERE id = ?", b.ids[1])
	b.release()
	if b.batches() != 1 {
		t.Errorf("%d statements wrote several profiles", b.batches())
	}
}

// An avatar that the user chose is never in a shared statement, so that it is always clear what it replaced.
func testPicturesGoAlone(t *testing.T) {
	b := newWriterFixture(t, 3)
	b.wire.sabotage(nil, nil)
	for i := range 3 {
		b.update(appA, fmt.Sprintf("oUser%d", i), picture("new")) // returns while other writes hang
	}
	b.release()
	if b.batches() != 0 {
		t.Errorf("%d statements wrote several profiles", b.batches())
	}
}

// Two servers change the avatar of one user concurrently: each avatar but the last is replaced exactly once.
func testReplacedAtOnce(t *testing.T) {
	const n = 32
	f := newFixture(t)
	servers := []*store.Users{f.users, f.secondServer(time.Second / 2).Users()}
	f.login(appA, "oAlice", "")
	all := make([]string, n)
	concurrently(n, func(i int) {
		var err error
		if _, all[i], err = servers[i%2].UpdateProfile(t.Context(), appA, "oAlice", picture(fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	})
	user, _ := f.login(appA, "oAlice", "")
	got := slices.Sorted(slices.Values(append(all, user.AvatarURL)))
	want := []string{""}
	for i := range n {
		want = append(want, picture(fmt.Sprint(i)).AvatarURL)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("replaced and last\n%q\nwant\n%q", got, want)
	}
}

// fillAvatars creates users, with all statuses. Every third has no avatar.
func (f *fixture) fillAvatars(users int) (want []string) {
	f.t.Helper()
	var rows []string
	for id := 1; id <= users; id++ {
		address := ""
		if id%3 != 0 {
			address = fmt.Sprintf("/avatars/%06d.jpg", id)
			want = append(want, address)
		}
		rows = append(rows, fmt.Sprintf("(%d, %d, '%s', NOW(), NOW(), NOW())", 2*id, 1+id%4, address))
	}
	if len(rows) > 0 {
		f.exec("INSERT INTO users (id, status, avatar_url, created_at, updated_at, last_login_at) VALUES " + strings.Join(rows, ", "))
	}
	return want
}

func TestUsers_AvatarURLs(t *testing.T) {
	for users, statements := range map[int]int{0: 1, 5: 1, store.AvatarChunk: 2, store.AvatarChunk + 1: 2, 2*store.AvatarChunk + 7: 3} {
		t.Run(fmt.Sprint(users, " users"), func(t *testing.T) {
			f := newFixture(t)
			want := f.fillAvatars(users)
			f.wire.reset()
			var got []string
			err := f.users.AvatarURLs(t.Context(), func(address string) error {
				if inUse := f.db.Pools()["primary"].Stats().InUse; inUse != 0 {
					t.Errorf("%d connections in use while a value is handled", inUse)
				}
				got = append(got, address)
				return nil
			})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d addresses, %v; want %d", len(got), err, len(want))
			}
			if sent := f.wire.verbs(); len(sent) != statements {
				t.Errorf("sent %v, want %d statements", sent, statements)
			}
		})
	}
	t.Run("an error of yield ends it", func(t *testing.T) {
		f := newFixture(t)
		f.fillAvatars(5)
		stop, calls := errors.New("stop"), 0
		err := f.users.AvatarURLs(t.Context(), func(string) error { calls++; return stop })
		if err != stop || calls != 1 {
			t.Errorf("error %v after %d calls", err, calls)
		}
	})
	t.Run("a database that is away is unavailable", func(t *testing.T) {
		f := newFixture(t)
		f.fillAvatars(5)
		f.wire.sabotage(func(string) error { return errCut }, nil)
		err := f.users.AvatarURLs(t.Context(), func(string) error { t.Error("called"); return nil })
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a cancelled context ends it", func(t *testing.T) {
		f := newFixture(t)
		f.fillAvatars(store.AvatarChunk + 1)
		ctx, cancel := context.WithCancel(t.Context())
		err := f.users.AvatarURLs(ctx, func(string) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("it reads by primary key", func(t *testing.T) {
		if !realServer {
			t.Skip("the embedded engine has a planner of its own")
		}
		f := newFixture(t)
		f.fillAvatars(3 * store.AvatarChunk)
		f.wire.reset()
		if err := f.users.AvatarURLs(t.Context(), func(string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, s := range f.wire.statements() {
			if plan := f.explain(s); len(plan) != 1 || plan[0]["key"] != "PRIMARY" || plan[0]["type"] != "range" ||
				strings.Contains(plan[0]["Extra"], "filesort") {
				t.Errorf("%s: %v", s.sql, plan)
			}
		}
	})
}
