package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"wxlogin/internal/server"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/wechat/wechattest"
)

// An AppSecret is replaced without signing anybody out, until the previous one is taken away.
func TestPreviousSecret_keeps_sessions(t *testing.T) {
	c := config(t)
	c.MySQLDSN = mysqltest.NewWithSchema(t)
	sim := newSimulator(t, &c)
	_, token := login(t, startWithLimits(t, c), sim)

	update := func(c server.Config) int {
		data := sim.Device("", wechattest.User{Name: "alice"}).GetUserInfo()
		res, err := http.PostForm("http://"+startWithLimits(t, c).PublicAddr()+"/updateUserInfo",
			url.Values{"token": {token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	c.App.Secret, c.App.PreviousSecret = strings.Repeat("f", 32), c.App.Secret
	if status := update(c); status != http.StatusOK {
		t.Errorf("with the previous secret: %d", status)
	}
	c.App.PreviousSecret = ""
	if status := update(c); status != http.StatusUnauthorized {
		t.Errorf("without it: %d", status)
	}
}
