package push_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat/push"
)

// wantEvent checks an event.
func wantEvent(t *testing.T, name string, got push.Event, want push.Event) {
	t.Helper()
	if got.Event != want.Event || got.AppID != want.AppID || got.OpenID != want.OpenID || !got.CreatedAt.Equal(want.CreatedAt) ||
		!slices.Equal(got.Revoked, want.Revoked) {
		t.Errorf("%s: %+v, want %+v", name, got, want)
	}
}

func TestParseEvent(t *testing.T) {
	whole := push.Event{
		Event: push.AuthorizationRevoked, CreatedAt: time.Unix(1626857200, 0), AppID: "wx1", OpenID: "oAlice", Revoked: []int{8},
	}
	for name, tt := range map[string]struct {
		message string
		want    push.Event
	}{
		"JSON": {`{"ToUserName":"gh_1","FromUserName":"oOther","CreateTime":1626857200,"MsgType":"event","Event":"user_authorization_revoke",
			"OpenID":"oAlice","AppID":"wx1","RevokeInfo":"8","PluginID":"","OpenPID":""}`, whole},
		"stray spaces and case": {` {" CreateTime ":" 1626857200 ","msgtype":"Event ","Event ":" user_authorization_revoke",
			"OpenId":"oAlice ","appid":" wx1","revokeInfo ":8} `, whole},
		"XML": {`<xml><ToUserName><![CDATA[gh_1]]></ToUserName><CreateTime>1626857200</CreateTime><MsgType><![CDATA[event]]></MsgType>
			<Event><![CDATA[user_authorization_revoke]]></Event><OpenID><![CDATA[oAlice]]></OpenID><AppID> wx1 </AppID>
			<RevokeInfo>
				8
			</RevokeInfo></xml>`, whole},
		"XML with a declaration": {`<?xml version="1.0" encoding="utf-8"?><xml><createtime>1626857200</createtime><MsgType>event</MsgType>
			<Event>user_authorization_revoke</Event><OpenID>oAlice</OpenID><AppID>wx1</AppID><RevokeInfo>8</RevokeInfo></xml>`, whole},
		"no OpenID":              {`{"MsgType":"event","Event":"user_info_modified","AppID":"wx1"}`, push.Event{Event: push.UserInfoModified, AppID: "wx1"}},
		"OpenID is null":         {`{"MsgType":"event","Event":"user_info_modified","OpenID":null}`, push.Event{Event: push.UserInfoModified}},
		"OpenID is an object":    {`{"MsgType":"event","Event":"user_info_modified","OpenID":{"a":"b"}}`, push.Event{Event: push.UserInfoModified}},
		"no MsgType":             {`{"Event":"user_authorization_cancellation","OpenID":"o"}`, push.Event{Event: push.AuthorizationCancelled, OpenID: "o"}},
		"not about an event":     {`{"MsgType":"text","Event":"user_authorization_cancellation","OpenID":"o"}`, push.Event{OpenID: "o"}},
		"a field twice":          {`{"Event":"a","Event":"b"}`, push.Event{Event: "a"}},
		"times that are none":    {`{"Event":"a","CreateTime":"soon"}`, push.Event{Event: "a"}},
		"the time 0":             {`{"Event":"a","CreateTime":0}`, push.Event{Event: "a"}},
		"a negative time":        {`{"Event":"a","CreateTime":-5}`, push.Event{Event: "a"}},
		"nested XML":             {`<xml><Event>a</Event><List><Event>b</Event></List></xml>`, push.Event{Event: "a"}},
		"escapes":                {`{"Event":"user\u005finfo_modified"}`, push.Event{Event: push.UserInfoModified}},
		"half a character":       {"{\"Event\":\"a\xe5\"}", push.Event{Event: "a\ufffd"}},
		"half in XML":            {"<xml><Event>a\xe5</Event></xml>", push.Event{Event: "a\ufffd"}},
		"empty":                  {`{}`, push.Event{}},
		"empty XML":              {`<xml/>`, push.Event{}},
		"another root":           {`<message><Event>a</Event></message>`, push.Event{Event: "a"}},
		"fields that are others": {`{"Event":"a","x":{"y":[1,{"z":null}]},"Encrypt":true}`, push.Event{Event: "a"}},
	} {
		got, err := push.ParseEvent([]byte(tt.message))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantEvent(t, name, got, tt.want)
	}
}

func TestParseEvent_Malformed(t *testing.T) {
	for _, message := range []string{
		"", " ", "null", "[]", `["Event"]`, "Event=a", `{`, `{"Event"`, `{"Event":"a"`, `{"Event":"a",}`, `{"Event":"a"}{}`, `{"Event":"a"} x`, `{1:2}`,
		`{"Event":}`, `<`, `<xml>`, `<xml><Event>a</xml>`, `<xml></xml><xml/>`, `<xml></xml>x`, `<!-- -->`, `<xml>&x;</xml>`,
		`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><Event>&e;</Event></xml>`,
		`<?xml version="1.0" encoding="GBK"?><xml/>`, strings.Repeat(`{"a":`, 20_000), strings.Repeat("<a>", 20_000),
	} {
		if e, err := push.ParseEvent([]byte(message)); err != push.ErrMalformed || e.Event != "" {
			t.Errorf("%.40q: %+v, %v", message, e, err)
		}
	}
}

// RevokeInfo comes in several forms, which are the same in JSON and XML.
func TestParseEvent_RevokeInfo(t *testing.T) {
	for info, want := range map[string][]int{
		``:                       nil,
		`8`:                      {8},
		`"8"`:                    {8},
		`"8,19"`:                 {8, 19},
		`" 6 , 8,20 "`:           {6, 8, 20},
		`",8,,20,"`:              {8, 20},
		`"8 20"`:                 {8, 20},
		`"8，20"`:                 {8, 20},
		`"8;20"`:                 {8, 20},
		`[6,8]`:                  {6, 8},
		`["6","8"]`:              {6, 8},
		"[\n\t\"6\",\n\t8\n]":    {6, 8},
		`"[6,8]"`:                {6, 8},
		`"99,-8,8"`:              {99, -8, 8},
		`-8`:                     {-8},
		`"x,8.5,8a,0x8,8"`:       {8},
		`"99999999999999999999"`: nil,
		`"八"`:                    nil,
		`null`:                   nil,
		`true`:                   nil,
		`{"8":8}`:                nil,
		`""`:                     nil,
		`","`:                    nil,
	} {
		if info != "" {
			e, err := push.ParseEvent(fmt.Appendf(nil, `{"Event":"e","RevokeInfo":%s}`, info))
			if err != nil || !slices.Equal(e.Revoked, want) {
				t.Errorf("JSON %s: %v, %v, want %v", info, e.Revoked, err, want)
			}
		}
		if strings.ContainsAny(info, "{n") { // no JSON in XML
			continue
		}
		e, err := push.ParseEvent(fmt.Appendf(nil, `<xml><RevokeInfo>%s</RevokeInfo></xml>`, strings.Trim(info, `"`)))
		if err != nil || !slices.Equal(e.Revoked, want) {
			t.Errorf("XML %s: %v, %v, want %v", info, e.Revoked, err, want)
		}
	}
}
