package wechat_test

import (
	"net/http"
	"testing"

	"wxlogin/wechat"
)

func BenchmarkCode2Session(b *testing.B) {
	client := newClient(b, wechat.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return response(http.StatusOK, goodResponse), nil
	})})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Code2Session(b.Context(), testCode); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	sample := loadOfficialSamples(b).OpenData
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wechat.Decrypt(sample.SessionKey, sample.EncryptedData, sample.IV); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecryptUserInfo(b *testing.B) {
	sample := loadOfficialSamples(b).OpenData
	want := wechat.Owner{AppID: sample.AppID, OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wechat.DecryptUserInfo(sample.SessionKey, sample.EncryptedData, sample.IV, want); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySignature(b *testing.B) {
	s := loadOfficialSamples(b).RawDataSignature
	b.ReportAllocs()
	for b.Loop() {
		if !wechat.VerifySignature(s.SessionKey, s.RawData, s.Signature) {
			b.Fatal("not verified")
		}
	}
}
