package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// answer holds what the walk looks at in the server's answers, of success and of failure.
type answer struct {
	Status          int    `json:"status"`
	Token           string `json:"token"`
	IsNewUser       bool   `json:"isNewUser"`
	ProfileComplete bool   `json:"profileComplete"`
	Anonymous       bool   `json:"anonymous"`
	UserInfo        struct {
		NickName string `json:"nickName"`
		Gender   int    `json:"gender"`
	} `json:"userInfo"`
	Code   string `json:"code"`
	Action string `json:"action"`
}

// post sends a form as wx.request does, and prints the request and the answer.
func (w *walk) post(ctx context.Context, path string, form url.Values) (answer, error) {
	w.out.request(path, form)
	target := "http://" + w.server.PublicAddr() + path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	w.out.answer(res.Status, body)
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if a.Status != res.StatusCode {
		return answer{}, fmt.Errorf("the body says status %d, HTTP says %d", a.Status, res.StatusCode)
	}
	return a, nil
}
