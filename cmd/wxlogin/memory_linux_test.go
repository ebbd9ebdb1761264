package main

import (
	"bytes"
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"wxlogin/wechat/wechattest"
)

// instanceMemory is the documented size of an instance, in KiB.
const instanceMemory = 512 << 10

// photograph returns a JPEG like that of a phone camera.
func photograph(t *testing.T, w, h int) []byte {
	t.Helper()
	p := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range p.Y {
		p.Y[i] = byte(i/w*200/h + random.IntN(30))
	}
	for i := range p.Cb {
		p.Cb[i], p.Cr[i] = byte(i/64), 128
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, p, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// screenshot returns a PNG of one colour.
func screenshot(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// claimingPNG returns a small PNG with another IHDR: width, height, depth, colour type and so on.
func claimingPNG(t *testing.T, header string) []byte {
	t.Helper()
	file := screenshot(t, 8, 8)
	copy(file[16:29], header)
	endian.BigEndian.PutUint32(file[29:], crc32.ChecksumIEEE(file[12:29]))
	return file
}

// hostilePictures returns files that claim large sizes, are truncated, or are no pictures.
func hostilePictures(t *testing.T, photo []byte) [][]byte {
	t.Helper()
	progressive := "\xff\xd8\xff\xc2\x00\x14\x08\x10\x00\x10\x00\x04\x01\x11\x00\x02\x11\x00\x03\x11\x00\x04\x11\x00" +
		"\xff\xda\x00\x0e\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x00\x00\x00\xff\xd9"
	return [][]byte{
		[]byte(progressive), photo[:len(photo)/8], bytes.Repeat([]byte("PK\x03\x04"), 1<<20-1),
		claimingPNG(t, "\x00\x00\x10\x00\x00\x00\x10\x00\x10\x06\x00\x00\x01"), // 4096 x 4096, 16 bits, interlaced
		claimingPNG(t, "\x00\x00\x40\x00\x00\x00\x40\x00\x08\x06\x00\x00\x00"), // 16384 x 16384
	}
}

// uploader uploads pictures for several users.
type uploader struct {
	t      *testing.T
	wechat *wechattest.Simulator
	url    string
}

func (u *uploader) login(user string) (token string) {
	u.t.Helper()
	code := u.wechat.Device(appID, wechattest.User{Name: user}).Login()
	res, err := http.PostForm(u.url+"/onLogin", url.Values{"code": {code}})
	if err != nil {
		u.t.Fatal(withoutURL(err))
	}
	defer res.Body.Close()
	var body struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.Token == "" {
		u.t.Fatalf("login: %s, %v", res.Status, err)
	}
	return body.Token
}

// upload returns the status of the response, and whether it has a Retry-After.
func (u *uploader) upload(token string, file []byte) (status int, retry bool) {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, _ := m.CreateFormFile("file", "a.jpg") // writes to a buffer do not fail
	part.Write(file)
	m.Close()
	req, err := http.NewRequest(http.MethodPost, u.url+"/uploadAvatar", &body)
	if err != nil {
		u.t.Error(err)
		return 0, false
	}
	req.Header.Set("Content-Type", m.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Error(withoutURL(err))
		return 0, false
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("Retry-After") != ""
}

// With 50 hostile and 50 honest concurrent uploads in random order, the process stays within the documented size of an
// instance, and nearly all honest uploads succeed.
func TestServe_UploadMemory(t *testing.T) {
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	weChat := httptest.NewServer(sim)
	t.Cleanup(weChat.Close)
	env := environ(t, "WECHAT_API_BASE="+weChat.URL, "AVATAR_DIR="+t.TempDir(), "PUBLIC_URL=http://127.0.0.1", "GOMAXPROCS=2")
	if code := start(t, env, "migrate").exitCode(); code != exitOK {
		t.Fatal("migrate failed")
	}
	server := start(t, env)
	u := &uploader{t: t, wechat: sim, url: fmt.Sprint("http://", server.wait("serving")["public"])}

	photo := photograph(t, 4000, 3000)
	honest := [][]byte{
		photo, photograph(t, 1600, 1200), photograph(t, 1080, 1440), screenshot(t, 1440, 3200), photograph(t, 800, 800),
		photograph(t, 640, 640), photograph(t, 1280, 960), screenshot(t, 720, 1280), photograph(t, 512, 512), photograph(t, 1080, 1080),
	}
	hostile := hostilePictures(t, photo)
	type attempt struct {
		token  string
		file   []byte
		honest bool
	}
	var attempts []attempt
	for i := range 50 {
		attempts = append(attempts,
			attempt{u.login(fmt.Sprint("honest", i)), honest[i%len(honest)], true},
			attempt{u.login(fmt.Sprint("hostile", i)), hostile[i%len(hostile)], false})
	}
	rand.Shuffle(len(attempts), func(i, j int) { attempts[i], attempts[j] = attempts[j], attempts[i] })
	var mu sync.Mutex
	succeeded := 0
	var wg sync.WaitGroup
	for _, a := range attempts {
		wg.Go(func() {
			status, retry := u.upload(a.token, a.file)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.honest && status == http.StatusOK:
				succeeded++
			case a.honest && (status != http.StatusServiceUnavailable || !retry):
				t.Errorf("an honest picture: %d", status)
			case !a.honest && status != http.StatusUnprocessableEntity && status != http.StatusServiceUnavailable:
				t.Errorf("a hostile file: %d", status)
			}
		})
	}
	wg.Wait()
	if succeeded < 45 {
		t.Errorf("%d of 50 honest uploads succeeded", succeeded)
	}
	peak := peakMemory(t, server.cmd.Process.Pid)
	t.Logf("peak of %d MiB, %d of 50 honest uploads succeeded", peak>>10, succeeded)
	if peak > instanceMemory {
		t.Errorf("peak of %d KiB, want at most %d", peak, instanceMemory)
	}
}

// peakMemory returns the peak resident set of a process, in KiB.
func peakMemory(t *testing.T, pid int) (kib int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatal("there is no VmHWM")
	return 0
}
