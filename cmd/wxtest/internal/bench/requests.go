package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/wechat/wechattest"
)

// kind is a kind of request.
type kind int

const (
	returning kind = iota
	newcomer
	capped
	changed
	unchanged
	introspect
	kinds
)

var kindNames = [kinds]string{"returning", "new", "capped", "changed", "unchanged", "introspect"}

func (k kind) String() string { return kindNames[k] }

// makeRequests makes the requests of a round, and returns where they go.
func (e *env) makeRequests(k kind, s *process.Server) (addr string, requests [][]byte) {
	n := e.requests
	if k == newcomer {
		n /= 3 // they wait for the disk
	}
	addr, path := s.Public, "/onLogin"
	switch k {
	case changed, unchanged:
		path = "/updateUserInfo"
	case introspect:
		addr, path = s.Internal, "/introspect"
	}
	for i := range n {
		requests = append(requests, e.post(path, i, e.form(k, s, i)))
	}
	return addr, requests
}

// form returns the body of request i.
func (e *env) form(k kind, s *process.Server, i int) url.Values {
	switch k {
	case returning:
		return url.Values{"code": {e.devices[i%len(e.devices)].Login()}}
	case capped:
		users := e.cappedUsers()
		return url.Values{"code": {users[i%len(users)].Login()}}
	case newcomer:
		e.newcomer++
		return url.Values{"code": {e.wechat.Device(appID, wechattest.User{Name: fmt.Sprint("new ", e.newcomer)}).Login()}}
	}
	tokens := e.tokens[s]
	form := url.Values{"token": {tokens[i%len(tokens)]}}
	if k == introspect {
		return form
	}
	device := e.devices[i%len(tokens)]
	if k == changed {
		e.newcomer++
		name := fmt.Sprint("user ", i%len(tokens)*(e.rows/len(e.devices)))
		device = e.wechat.Device(appID, wechattest.User{Name: name, Info: wechattest.Info{
			NickName: fmt.Sprint("nickname ", e.newcomer), Gender: 1, Language: "zh_CN", City: "Guangzhou", Province: "Guangdong", Country: "China",
			AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/DYAIOgq83eoj0hHXhgJNOTSOFsS4uZs8x1ConecaVOB8eIl115xmJZcT4oCicvia7wMEufibKtTLqiaJeanU2Lpg3w/132",
		}})
	}
	data := device.GetUserInfo()
	form.Set("encryptedData", data.EncryptedData)
	form.Set("iv", data.IV)
	return form
}

// post returns a whole request as a mini-program sends it through a proxy, from an address of its own.
func (e *env) post(path string, i int, form url.Values) []byte {
	body, bearer := form.Encode(), e.key
	if form.Has("token") && form.Has("iv") {
		bearer = form.Get("token")
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: wxlogin\r\nAuthorization: Bearer %s\r\nX-Forwarded-For: 10.%d.%d.%d\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, bearer, i>>16&255, i>>8&255, i&255, len(body), body)
}

// logIn makes the sessions for updates, on each server: enough that none comes near its rate limit.
func (e *env) logIn(ctx context.Context) error {
	for _, s := range e.servers() {
		requests := make([][]byte, min(e.requests, len(e.devices)))
		for i := range requests {
			requests[i] = e.post("/onLogin", i, e.form(returning, s, i))
		}
		tokens, errs := make([]string, len(requests)), make([]error, len(requests))
		_, err := connections{min(8, e.connections), 0}.drive(ctx, s.Public, requests, func(i int, body []byte) {
			var answer struct{ Token string }
			errs[i] = json.Unmarshal(body, &answer)
			tokens[i] = answer.Token
		})
		if err := cmp.Or(err, errors.Join(errs...)); err != nil {
			return fmt.Errorf("%s: logins before the rounds: %w", s.Name, err)
		}
		e.tokens[s] = tokens
	}
	return nil
}

// requestTimeout is far above what a request takes.
const requestTimeout = 20 * time.Second

// connections send requests, each its next one a pause after the last response.
type connections struct {
	n     int
	pause time.Duration
}

// drive sends requests, and returns how long each took. The first response other than 200 ends it with an error. If keep is not
// nil, it gets each body, concurrently.
func (c connections) drive(ctx context.Context, addr string, requests [][]byte, keep func(i int, body []byte)) ([]time.Duration, error) {
	took := make([]time.Duration, len(requests))
	var last atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(c.n, len(requests)) {
		group.Go(func() error {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			responses := bufio.NewReader(conn)
			for pause := time.Duration(rand.Float64() * float64(c.pause)); process.Sleep(ctx, pause); pause = c.pause {
				i := int(last.Add(1)) - 1
				if i >= len(requests) {
					return nil
				}
				begun := time.Now()
				body, err := exchange(conn, responses, requests[i])
				if err != nil {
					return err
				}
				if took[i] = time.Since(begun); keep != nil {
					keep(i, body)
				}
			}
			return ctx.Err()
		})
	}
	return took, group.Wait()
}

// exchange writes a whole request and reads its response without an HTTP client in between, which would take as much of the machine
// as the server does.
func exchange(conn net.Conn, responses *bufio.Reader, request []byte) ([]byte, error) {
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(responses, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answers %d: %s", resp.StatusCode, bytes.TrimSpace(body))
	}
	return body, errors.Join(err, resp.Body.Close())
}
