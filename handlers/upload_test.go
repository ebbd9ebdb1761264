package handlers_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"

	"wxlogin/internal/avatar"
)

// pictureFiles are real pictures of each kind that phones have.
func pictureFiles(t testing.TB) map[string][]byte {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, 640, 480))
	for i := range p.Pix {
		p.Pix[i] = byte(i / 7)
	}
	for i := 3; i < len(p.Pix); i += 4 {
		p.Pix[i] = 255
	}
	p.SetNRGBA(0, 0, color.NRGBA{R: 255, A: 255})
	var jpg, pic, anim bytes.Buffer
	if err := jpeg.Encode(&jpg, p, nil); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&pic, p); err != nil {
		t.Fatal(err)
	}
	if err := gif.Encode(&anim, p, nil); err != nil {
		t.Fatal(err)
	}
	webp, err := os.ReadFile("../internal/avatar/testdata/photo.webp")
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"jpeg": jpg.Bytes(), "png": pic.Bytes(), "gif": anim.Bytes(), "webp": webp}
}

// hostileFiles are files that must leave nothing behind.
func hostileFiles(t testing.TB) map[string][]byte {
	t.Helper()
	good := pictureFiles(t)
	bomb := bytes.Clone(good["png"])
	binary.BigEndian.PutUint32(bomb[16:], 60_000)
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	liar := bytes.Clone(good["png"])
	binary.BigEndian.PutUint32(liar[16:], 641)
	binary.BigEndian.PutUint32(liar[29:], crc32.ChecksumIEEE(liar[12:29]))
	half := func(kind string) []byte { return good[kind][:len(good[kind])/2] }
	return map[string][]byte{
		"bomb": bomb, "lying_size": liar, "text": []byte("hello"), "svg": []byte("<svg onload='alert(1)'/>"),
		"half_a_jpeg": half("jpeg"), "half_a_png": half("png"),
		"half_a_gif": half("gif"), "half_a_webp": half("webp"), "jpeg_called_png": append([]byte("\x89PNG\r\n\x1a\n"), good["jpeg"]...),
	}
}

// upload sends a file as wx.uploadFile does, with the token in the form.
func (w *world) upload(token string, file []byte) response {
	w.t.Helper()
	return w.uploadParts(func(m *multipart.Writer) {
		part, err := m.CreateFormFile("file", "tmp_1.png")
		w.must(err)
		_, err = part.Write(file)
		w.must(err)
		w.must(m.WriteField("token", token))
	})
}

func (w *world) uploadParts(write func(*multipart.Writer)) response {
	w.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	write(m)
	w.must(m.Close())
	return w.do(w.request("/uploadAvatar", m.FormDataContentType(), body.String()))
}

// wantPictures fails unless so many files are kept.
func (w *world) wantPictures(n int) {
	w.t.Helper()
	files, err := os.ReadDir(w.avatarDir)
	w.must(err)
	if len(files) != n {
		w.t.Errorf("%d files are kept, want %d", len(files), n)
	}
}

// fetch gets a picture from its address, at the server of this test.
func (w *world) fetch(address string) (*http.Response, []byte) {
	w.t.Helper()
	res, err := http.Get(strings.Replace(address, avatarBase, w.public.URL, 1))
	w.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.must(err)
	return res, b
}

// The way since 2022: chooseAvatar, upload, nickname input.
func TestUploadAvatar_then_nickname_completes_the_profile(t *testing.T) {
	for kind, file := range pictureFiles(t) {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			token := w.login(w.phone("alice")).Token
			r := w.upload(token, file)
			if r.status != http.StatusOK || r.body.ProfileComplete || r.body.AvatarURL == "" || r.body.UserInfo["avatarUrl"] != r.body.AvatarURL {
				t.Fatalf("%d %s", r.status, r.body.Code)
			}
			address := r.body.AvatarURL
			if r := w.typed(token, "nickName", "Al", "avatarUrl", address); r.status != http.StatusOK || !r.body.ProfileComplete || r.body.Anonymous {
				t.Errorf("%d %s, complete %v", r.status, r.body.Code, r.body.ProfileComplete)
			}
			if w.column("avatar_url") != address || w.column("nickname") != "Al" || w.column("profile_source") != "2" {
				t.Error("the database has another profile")
			}
			res, data := w.fetch(address)
			if picture, _, err := image.Decode(bytes.NewReader(data)); err != nil || picture.Bounds().Dx() > avatar.MaxSide {
				t.Errorf("what is served is no picture of at most %d pixels: %v", avatar.MaxSide, err)
			}
			if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(res.Header.Get("Content-Type"), "image/") ||
				res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("it is served with %v", res.Header)
			}
			w.wantPictures(1)
		})
	}
}

func TestUploadAvatar_refuses_hostile_files_and_keeps_nothing(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	for kind, file := range hostileFiles(t) {
		t.Run(kind, func(t *testing.T) {
			w.wantProblem(w.upload(token, file), 422, "invalid_picture", "none")
		})
	}
	w.wantProblem(w.upload(token, make([]byte, avatar.MaxBytes+1)), 413, "request_too_large", "none")
	w.wantPictures(0)
	if w.column("avatar_url") != "" {
		t.Error("an avatar was stored")
	}
}

func TestUploadAvatar_keeps_nothing_for_those_who_may_not(t *testing.T) {
	w := newWorld(t)
	file := pictureFiles(t)["jpeg"]
	w.wantProblem(w.upload("x", file), 401, "invalid_token", "relogin")
	token := w.login(w.phone("alice")).Token
	if _, err := w.db.Exec("UPDATE users SET status = 2"); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.upload(token, file), 403, "user_blocked", "none")
	w.wantPictures(0)
}

func TestUploadAvatar_requests(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	file := pictureFiles(t)["jpeg"]
	part := func(m *multipart.Writer, name string) {
		p, err := m.CreateFormFile(name, "a.jpg")
		w.must(err)
		_, err = p.Write(file)
		w.must(err)
	}
	t.Run("token_in_the_header", func(t *testing.T) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		w.must(m.WriteField("user", "x")) // fields that nobody asks for
		part(m, "avatar")
		w.must(m.Close())
		req := w.request("/uploadAvatar", m.FormDataContentType(), body.String())
		req.Header.Set("Authorization", "Bearer "+token)
		if r := w.do(req); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
	})
	for name, r := range map[string]response{
		"no_file":   w.uploadParts(func(m *multipart.Writer) { w.must(m.WriteField("token", token)) }),
		"two_files": w.uploadParts(func(m *multipart.Writer) { part(m, "a"); part(m, "b") }),
		"two_tokens": w.uploadParts(func(m *multipart.Writer) {
			w.must(m.WriteField("token", token))
			w.must(m.WriteField("token", token))
		}),
		"many_parts": w.uploadParts(func(m *multipart.Writer) {
			for range 20 {
				w.must(m.WriteField("x", "y"))
			}
		}),
		"cut_off": w.do(w.request("/uploadAvatar", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc")),
		"garbage": w.do(w.request("/uploadAvatar", "multipart/form-data; boundary=b", "hello")),
	} {
		t.Run(name, func(t *testing.T) { w.wantProblem(r, 400, "invalid_request", "none") })
	}
	w.wantProblem(w.do(w.request("/uploadAvatar", formType, "token="+token)), 415, "unsupported_media_type", "none")
	w.wantPictures(1)
}

func TestAvatars_that_are_not_there(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{strings.Repeat("a", 32) + ".jpg", "x.txt", "..%2f..%2fetc%2fpasswd", ""} {
		if res, _ := w.fetch(avatarBase + "/avatars/" + name); res.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %d", name, res.StatusCode)
		}
	}
	// An address that was never given is none of this server's.
	token := w.login(w.phone("alice")).Token
	w.wantProblem(w.typed(token, "avatarUrl", avatarBase+"/avatars/"+strings.Repeat("a", 32)+".jpg"), 400, "invalid_request", "none")
}

// Phones put videos and other pictures behind a picture. Nothing of that is kept.
func TestUploadAvatar_whatFollowsThePicture(t *testing.T) {
	const tail = "PK\x03\x04 an archive"
	for kind, file := range pictureFiles(t) {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			r := w.upload(w.login(w.phone("alice")).Token, append(file, tail...))
			if r.status != http.StatusOK {
				t.Fatalf("%d %s", r.status, r.body.Code)
			}
			if _, data := w.fetch(r.body.AvatarURL); len(data) == 0 || bytes.Contains(data, []byte(tail)) {
				t.Errorf("%d bytes are served, with what followed the picture", len(data))
			}
		})
	}
}
