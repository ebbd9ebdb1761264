package wechattest_test

import (
	"testing"

	"wxlogin/wechat/wechattest"
)

// BenchmarkLoginAndExchange measures the simulator's own cost per login in a load test.
func BenchmarkLoginAndExchange(b *testing.B) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := exchange(b, sim, query(appA, secretA, phone.Login())); got.ErrCode != 0 {
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
