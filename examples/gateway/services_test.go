package gateway_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"wxlogin/wechat/wechattest"
)

const nodeTimeout = 2 * time.Minute

// runNodeTests runs files of test/ in Node.
func runNodeTests(t *testing.T, file string, environ ...string) {
	t.Helper()
	needs(t, "node")
	ctx, cancel := context.WithTimeout(t.Context(), nodeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", file)
	cmd.Env = append(os.Environ(), environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tokens := regexp.MustCompile(`[A-Za-z0-9_-]{43}`)
		t.Errorf("node --test %s: %v\n%s", file, err, tokens.ReplaceAll(out, []byte("[token]")))
	}
}

func TestIntrospect_by_itself(t *testing.T) { runNodeTests(t, "test/introspect.test.js") }

// The client of examples/miniprogram, as it is, with a service behind nginx and with one that asks wxlogin itself.
func TestMiniProgram_uses_a_service(t *testing.T) {
	s := startSystem(t, startServiceNginx)
	runNodeTests(t, "test/mini-program.test.js",
		"WXLOGIN_SERVER="+s.Public(), "WXLOGIN_SIMULATOR="+s.WeChat,
		"GATEWAY="+s.gateway.url, "ON_ITS_OWN=http://"+startOnItsOwn(t, s.InternalAddr(), apiKey))
}

func startOnItsOwn(t *testing.T, internal, key string) string {
	t.Helper()
	return startNode(t, "service/on-its-own.js", "WXLOGIN_INTERNAL=http://"+internal, "INTERNAL_API_KEY="+key)
}

func TestOnItsOwn_knows_whose_request_it_is(t *testing.T) {
	needs(t, "node")
	l := startLogin(t)
	service := "http://" + startOnItsOwn(t, l.InternalAddr(), apiKey)
	for _, user := range []wechattest.User{alice, bob} {
		var got identity
		request{path: "/me", token: l.token(t, user), header: forged()}.to(t, service).wantOK(t, &got)
		if want := l.inMySQL(t, user.OpenID); got != want {
			t.Errorf("the service knows %+v, MySQL %+v", got, want)
		}
	}
}

func TestOnItsOwn_lets_nobody_in_without_a_valid_token(t *testing.T) {
	needs(t, "node")
	l := startLogin(t)
	service := "http://" + startOnItsOwn(t, l.InternalAddr(), apiKey)
	loggedOut, disabled := l.token(t, alice), l.token(t, bob)
	l.logout(t, loggedOut)
	l.disable(t, bob.OpenID)
	for what, token := range map[string]string{
		"none": "", "malformed": "x", "unknown": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"logged_out": loggedOut, "disabled": disabled,
	} {
		t.Run(what, func(t *testing.T) {
			request{path: "/me", token: token, header: forged()}.to(t, service).wantProblem(t, 401, "invalid_token", "relogin")
		})
	}
}

func TestOnItsOwn_without_wxlogin_lets_nobody_in(t *testing.T) {
	needs(t, "node")
	l := startLogin(t)
	service := "http://" + startOnItsOwn(t, l.InternalAddr(), apiKey)
	wrongKey := "http://" + startOnItsOwn(t, l.InternalAddr(), "not-the-key-of-wxlogin")
	token := l.token(t, alice)
	request{path: "/me", token: token}.to(t, wrongKey).wantProblem(t, 503, "storage_unavailable", "retry")
	l.Stop()
	request{path: "/me", token: token}.to(t, service).wantProblem(t, 503, "storage_unavailable", "retry")
}

func TestOnItsOwn_request_begins_the_idle_expiry_anew(t *testing.T) {
	needs(t, "node")
	l := startLogin(t)
	service := "http://" + startOnItsOwn(t, l.InternalAddr(), apiKey)
	token := l.token(t, alice)
	l.Redis.FastForward(t, idleTTL/2)
	request{path: "/me", token: token}.to(t, service).wantOK(t, new(identity))
	if left := l.timeLeft(t); left < idleTTL-time.Minute {
		t.Errorf("%v left", left)
	}
}
