package wechattest_test

import (
	"bytes"
	"image/jpeg"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

func TestChooseAvatar_gives_a_picture_in_a_file_of_the_phone(t *testing.T) {
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{"wx1": "s1"}})
	alice, bob := sim.Device("", wechattest.User{Name: "alice"}), sim.Device("", wechattest.User{Name: "bob"})
	first, again, other := alice.ChooseAvatar(), alice.ChooseAvatar(), bob.ChooseAvatar()
	if !strings.HasPrefix(first.Path, "http://tmp/") || first.Path == again.Path {
		t.Errorf("paths %s and %s", first.Path, again.Path)
	}
	if !bytes.Equal(first.Data, again.Data) || bytes.Equal(first.Data, other.Data) {
		t.Error("a user has two pictures, or two users have one")
	}
	if picture, err := jpeg.Decode(bytes.NewReader(first.Data)); err != nil || picture.Bounds().Dx() != 132 {
		t.Errorf("%v", err)
	}
}

func TestControl_plays_chooseAvatar_and_binds(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	alice := sim.Device(appA, wechattest.User{Name: "alice"})
	var file wechattest.TempFile
	decode(t, sim, "/sim/chooseavatar", url.Values{"user": {"alice"}}, &file)
	if !bytes.Equal(file.Data, alice.ChooseAvatar().Data) || !strings.HasPrefix(file.Path, "http://tmp/") {
		t.Errorf("%d bytes at %s", len(file.Data), file.Path)
	}
	var ok map[string]string
	decode(t, sim, "/sim/bind", url.Values{"user": {"alice"}, "appid": {appA}, "unionid": {"oUNION"}}, &ok)
	if answer, _ := ask(t, sim, query(appA, secretA, alice.Login())); answer.UnionID == nil || *answer.UnionID != "oUNION" {
		t.Errorf("the unionid is %v", answer.UnionID)
	}
	if status, _ := post(t, sim, "/sim/bind", url.Values{"user": {"alice"}, "unionid": {"a\nb"}}); status != http.StatusBadRequest {
		t.Errorf("a unionid of two lines: %d", status)
	}
}
