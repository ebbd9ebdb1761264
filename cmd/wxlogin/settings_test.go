package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/wechat/wechattest"
)

// A write is durable after its response 200, even if the server is killed then, with any global settings of MySQL. The
// account does not have SUPER.
func TestServe_Durability(t *testing.T) {
	const nickName = `Bob "the' \ builder`
	s := mysqltest.RunServer(t)
	weChat := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	simulator := httptest.NewServer(weChat)
	defer simulator.Close()
	for i, global := range []string{"autocommit = OFF", "completion_type = 'CHAIN'", "sql_mode = ''", "sql_mode = 'ANSI'",
		"sql_mode = 'NO_BACKSLASH_ESCAPES'", "TRANSACTION ISOLATION LEVEL READ COMMITTED", "TRANSACTION ISOLATION LEVEL SERIALIZABLE"} {
		t.Run(global, func(t *testing.T) {
			s.Exec(t, "SET GLOBAL "+global)
			defer s.Exec(t, "SET GLOBAL autocommit = DEFAULT, completion_type = DEFAULT, sql_mode = DEFAULT",
				"SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ")
			dsn := s.NewDatabase(t, fmt.Sprint("app", i), "ALL")
			env := environ(t, "MYSQL_DSN="+dsn, "WECHAT_API_BASE="+simulator.URL)
			if code := start(t, env, "migrate").exitCode(); code != exitOK {
				t.Fatalf("migrate: exit code %d", code)
			}
			p := start(t, env)
			public := "http://" + p.wait("serving")["public"].(string)
			code := weChat.Device(appID, wechattest.User{Name: global}).Login()
			token := p.post(public+"/onLogin", url.Values{"code": {code}})["token"].(string)
			p.post(public+"/updateUserInfo", url.Values{"token": {token}, "nickName": {nickName}})
			p.signal(os.Kill)
			<-p.exit
			db, err := sql.Open("mysql", dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var stored string
			if err := db.QueryRow("SELECT nickname FROM users").Scan(&stored); err != nil || stored != nickName {
				t.Errorf("nickname %q, %v", stored, err)
			}
		})
	}
}

// post sends a form. The response must be 200.
func (p *process) post(address string, form url.Values) (body map[string]any) {
	p.t.Helper()
	res, err := http.PostForm(address, form)
	if err != nil {
		p.t.Fatal(withoutURL(err))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s, %v", address, res.Status, err)
	}
	return body
}
