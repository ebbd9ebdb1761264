package wechattest_test

import (
	"testing"

	"wxlogin/wechat/wechattest"
)

// What a load test spends on the simulator itself for each login.
func BenchmarkLoginAndExchange(b *testing.B) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := ask(b, sim, query(appA, secretA, phone.Login())); got.ErrCode != 0 {
			b.Fatal(got.ErrCode)
		}
	}
}

func BenchmarkGetUserInfo(b *testing.B) {
	phone := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"})
	b.ReportAllocs()
	for b.Loop() {
		phone.GetUserInfo()
	}
}
