package wechat_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"wxlogin/wechat"
)

// Every errcode that WeChat documents for these APIs, and some others. Only errors that go away within minutes are
// unavailable or rate limited, because a client retries these.
func TestError_KindByAPI(t *testing.T) {
	const (
		invalid, blocked, limited = wechat.KindInvalidCode, wechat.KindBlocked, wechat.KindRateLimited
		operator, passes          = wechat.KindMisconfigured, wechat.KindUnavailable
	)
	kinds := map[int][3]wechat.Kind{ // of jscode2session, stable_token, getuserphonenumber
		-1:    {passes, passes, passes},
		-1000: {passes, passes, passes},
		45011: {limited, limited, limited},
		40029: {invalid, operator, invalid},
		40163: {invalid, operator, invalid},
		40226: {blocked, operator, blocked},
		40013: {operator, operator, invalid},
	}
	for _, errCode := range []int{
		40001, 40002, 40003, 40014, 40066, 40125, 40164, 40243, 41001, 41002, 41004, 41008, 41018, 41030, 42001, 42002, 43001, 43002,
		43003, 43104, 44002, 45002, 45009, 45035, 47001, 48001, 48004, 50001, 50002, 50004, 50005, 50007, 61004, 61007, 61014, 61016,
		61024, 87009, 89501, 89503, 89506, 89507, 1, 12345, 99999, 9999999999, -2, -41002, -80000,
	} {
		kinds[errCode] = [3]wechat.Kind{operator, operator, operator}
	}
	for errCode, want := range kinds {
		for i, e := range errorsFor(t, strconv.Itoa(errCode)) {
			if e.Kind != want[i] || e.ErrCode != errCode || e.RID == "" || e.IsTransport() {
				t.Errorf("%d of %s is %s, want %s: %v", errCode, e.API, e.Kind, want[i], e)
			}
		}
	}
	for _, e := range errorsFor(t, `"40125"`) {
		if e.Kind != operator || e.ErrCode != 40125 {
			t.Errorf("as a text: %v", e)
		}
	}
}

// errorsFor returns the errors of the three APIs for an errcode.
func errorsFor(t *testing.T, errCode string) (errs []*wechat.Error) {
	t.Helper()
	body := fmt.Sprintf(`{"errcode":%s,"errmsg":"x, rid: 652d44d0-1d0af18b-5b069232"}`, errCode)
	client := newClient(t, wechat.Options{
		Timeout:   20 * time.Millisecond, // no pause fits into it
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { return response(http.StatusOK, body), nil }),
	})
	_, login := client.Code2Session(t.Context(), testCode)
	_, _, token := client.StableToken(t.Context(), false)
	_, number := client.PhoneNumber(t.Context(), testToken, testOpenID, testCode)
	for _, err := range []error{login, token, number} {
		e, ok := errors.AsType[*wechat.Error](err)
		if !ok {
			t.Fatalf("%s: %v", errCode, err)
		}
		errs = append(errs, e)
	}
	return errs
}

func TestIsInvalidToken_ByAPI(t *testing.T) {
	for _, errCode := range []int{40001, 40014, 42001} {
		errs := errorsFor(t, strconv.Itoa(errCode))
		if wechat.IsInvalidToken(errs[1]) || !wechat.IsInvalidToken(errs[2]) {
			t.Errorf("%d: stable_token, which takes no token, has one refused; or getuserphonenumber has not", errCode)
		}
	}
}
