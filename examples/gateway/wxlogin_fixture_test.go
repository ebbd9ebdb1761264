package gateway_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

const (
	appID   = servertest.AppID
	apiKey  = servertest.APIKey
	idleTTL = servertest.IdleTTL
)

// login is a running wxlogin with all that it needs.
type login struct{ *servertest.Server }

func startLogin(t *testing.T) login {
	t.Helper()
	return login{servertest.Start(t)}
}

// token logs somebody in.
func (l login) token(t *testing.T, user wechattest.User) string {
	t.Helper()
	res, err := http.PostForm(l.Public()+"/onLogin", url.Values{"code": {l.Simulator.Device(appID, user).Login()}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("/onLogin answers %d (%v)", res.StatusCode, err)
	}
	return answer.Token
}

func (l login) logout(t *testing.T, token string) {
	t.Helper()
	res, err := http.PostForm(l.Public()+"/logout", url.Values{"token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("/logout answers %d", res.StatusCode)
	}
}

// identity is what a service should be told of somebody.
type identity struct{ UserID, OpenID, AppID, UnionID string }

// inMySQL reads what the database knows of somebody.
func (l login) inMySQL(t *testing.T, openID string) identity {
	t.Helper()
	id := identity{AppID: appID, OpenID: openID}
	var unionID sql.NullString
	row := l.database(t).QueryRow(`SELECT u.id, u.unionid FROM wechat_identities i JOIN users u ON u.id = i.user_id
		WHERE i.appid = ? AND i.openid = ?`, appID, openID)
	if err := row.Scan(&id.UserID, &unionID); err != nil {
		t.Fatal(err)
	}
	id.UnionID = unionID.String
	return id
}

// disable blocks a user, as administrators do.
func (l login) disable(t *testing.T, openID string) {
	t.Helper()
	_, err := l.database(t).Exec("UPDATE users SET status = 2 WHERE id = ?", l.inMySQL(t, openID).UserID)
	if err != nil {
		t.Fatal(err)
	}
}

func (l login) database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", l.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// timeLeft is how long the one session in Redis lives unless it is used.
func (l login) timeLeft(t *testing.T) time.Duration {
	t.Helper()
	for key := range l.Redis.Dump(t) {
		if strings.HasPrefix(key, "wxlogin:session:") {
			return l.Redis.TTL(t, key)
		}
	}
	t.Fatal("there is no session")
	return 0
}
