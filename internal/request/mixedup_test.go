package request_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"wxlogin/internal/request"
)

func TestRead_JSON_as_form_and_form_as_JSON(t *testing.T) {
	const form, json = "application/x-www-form-urlencoded", "application/json"
	for name, tt := range map[string]struct{ contentType, body, detail string }{
		"JSON as form":               {form, `{"code":"x"}`, "send application/json"},
		"JSON as form, with spaces":  {form + "; charset=utf-8", "\r\n\t {\n\"code\": \"x\"}", "send application/json"},
		"JSON as form, with a mark":  {form, "\ufeff{\"code\":\"x\"}", "send application/json"},
		"JSON as form, with & and =": {form, `{"code":"a=b&c"}`, "send application/json"},
		"form as JSON":               {json, "code=x&appid=y", "send application/x-www-form-urlencoded"},
		"form as JSON, encoded":      {json + ";charset=UTF-8", "encrypted%44ata=x", "send application/x-www-form-urlencoded"},
		"an array":                   {json, "[]", "is not a JSON object"},
		"half an object":             {json, "{", "is not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			_, err := request.Read(httptest.NewRecorder(), r)
			if err == nil || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("got %v, want %q", err, tt.detail)
			}
		})
	}
	t.Run("a form whose values hold braces is one", func(t *testing.T) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`rawData={"nickName":"x"}&code=y`))
		r.Header.Set("Content-Type", form)
		if f, err := request.Read(httptest.NewRecorder(), r); err != nil || f["code"] != "y" || f["rawData"] != `{"nickName":"x"}` {
			t.Errorf("got %v, %v", f, err)
		}
	})
}
