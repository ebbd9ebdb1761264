package handlers_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/avatar"
)

// pictureFiles are real pictures of each kind that phones have.
func pictureFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := encodedPictures()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// encodedPictures encodes them once for all tests, which must not change them.
var encodedPictures = sync.OnceValues(func() (map[string][]byte, error) {
	p := image.NewNRGBA(image.Rect(0, 0, 640, 480))
	for i := range p.Pix {
		p.Pix[i] = byte(i / 7)
	}
	for i := 3; i < len(p.Pix); i += 4 {
		p.Pix[i] = 255
	}
	p.SetNRGBA(0, 0, color.NRGBA{R: 255, A: 255})
	var jpg, pic, anim bytes.Buffer
	webp, err := os.ReadFile("../internal/avatar/testdata/photo.webp")
	err = errors.Join(err, jpeg.Encode(&jpg, p, nil), png.Encode(&pic, p), gif.Encode(&anim, p, nil))
	return map[string][]byte{
		"jpeg": slices.Clip(jpg.Bytes()), "png": slices.Clip(pic.Bytes()), "gif": slices.Clip(anim.Bytes()), "webp": slices.Clip(webp),
	}, err
})

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

// upload sends a file as wx.uploadFile does, with the token in a field before it.
func (w *world) upload(token string, file []byte) response {
	w.t.Helper()
	return w.uploadParts(func(m *multipart.Writer) {
		w.must(m.WriteField("token", token))
		w.filePart(m, file)
	})
}

func (w *world) filePart(m *multipart.Writer, file []byte) {
	w.t.Helper()
	part, err := m.CreateFormFile("file", "tmp_1.png")
	w.must(err)
	_, err = part.Write(file)
	w.must(err)
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
			if w.column("avatar_url") != strings.TrimPrefix(address, avatarBase) || w.column("nickname") != "Al" || w.column("profile_source") != "2" {
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
	authorized := func(token string, write func(*multipart.Writer)) response {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		write(m)
		w.must(m.Close())
		req := w.request("/uploadAvatar", m.FormDataContentType(), body.String())
		req.Header.Set("Authorization", "Bearer "+token)
		return w.do(req)
	}
	field := func(m *multipart.Writer, name, value string) { w.must(m.WriteField(name, value)) }
	part := func(m *multipart.Writer, disposition, contentType string) {
		header := textproto.MIMEHeader{"Content-Disposition": {"form-data; " + disposition}}
		if contentType != "" {
			header.Set("Content-Type", contentType)
		}
		p, err := m.CreatePart(header)
		w.must(err)
		_, err = p.Write(file)
		w.must(err)
	}
	for name, write := range map[string]func(*multipart.Writer){
		"the token in the header":        func(m *multipart.Writer) { field(m, "user", "x"); w.filePart(m, file) },
		"the token there and in a field": func(m *multipart.Writer) { w.filePart(m, file); field(m, "token", token) },
		"a file without a filename":      func(m *multipart.Writer) { part(m, `name="file"`, "") },
		"a picture without a filename":   func(m *multipart.Writer) { part(m, `name="avatar"`, "image/jpeg") },
		"bytes without a filename":       func(m *multipart.Writer) { part(m, `name="x"`, "application/octet-stream") },
		"an empty filename":              func(m *multipart.Writer) { part(m, `name="file"; filename=""`, "") },
		"a filename in Chinese":          func(m *multipart.Writer) { part(m, `name="a"; filename*=UTF-8''%E5%9B%BE.jpg`, "") },
		"fields after the file":          func(m *multipart.Writer) { w.filePart(m, file); field(m, "x", "y") },
	} {
		t.Run(name, func(t *testing.T) {
			if r := authorized(token, write); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		})
	}
	w.wantPictures(1)
	for name, r := range map[string]response{
		"no file":                w.uploadParts(func(m *multipart.Writer) { field(m, "token", token) }),
		"an empty file":          w.upload(token, nil),
		"two files":              authorized(token, func(m *multipart.Writer) { w.filePart(m, file); w.filePart(m, file) }),
		"two tokens":             w.uploadParts(func(m *multipart.Writer) { field(m, "token", token); field(m, "token", token) }),
		"two tokens that differ": authorized(token, func(m *multipart.Writer) { w.filePart(m, file); field(m, "token", token[1:]+"A") }),
		"many parts": authorized(token, func(m *multipart.Writer) {
			for range 20 {
				field(m, "x", "y")
			}
		}),
		"a body that is cut off": authorizedRaw(w, token, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc"),
		"garbage":                authorizedRaw(w, token, "hello"),
		"a part with two names": authorizedRaw(w, token, "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n"+
			"Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc\r\n--b--"),
	} {
		t.Run(name, func(t *testing.T) { w.wantProblem(r, 400, "invalid_request", "none") })
	}
	w.wantProblem(w.do(w.request("/uploadAvatar", formType, "token="+token)), 415, "unsupported_media_type", "none")
	w.wantPictures(1)
}

func authorizedRaw(w *world, token, body string) response {
	req := w.request("/uploadAvatar", "multipart/form-data; boundary=b", body)
	req.Header.Set("Authorization", "Bearer "+token)
	return w.do(req)
}

// The token comes before the file, or the file is not read.
func TestUploadAvatar_token_first(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	file := pictureFiles(t)["jpeg"]
	r := w.uploadParts(func(m *multipart.Writer) {
		w.filePart(m, file)
		w.must(m.WriteField("token", token))
	})
	w.wantProblem(r, 401, "invalid_token", "relogin")
	w.wantPictures(0)
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

func TestUploadAvatar_files(t *testing.T) {
	file := pictureFiles(t)["png"]
	t.Run("one file belongs to one user", func(t *testing.T) {
		w := newWorld(t)
		alice := w.upload(w.login(w.phone("alice")).Token, file).body.AvatarURL
		bob := w.upload(w.login(w.phone("bob")).Token, file).body.AvatarURL
		if alice == "" || alice == bob {
			t.Error("two users have one file")
		}
		w.wantPictures(2)
	})
	t.Run("a replaced picture is deleted", func(t *testing.T) {
		w := newWorld(t)
		p := w.phone("alice")
		token := w.login(p).Token
		first := w.upload(token, file).body.AvatarURL
		second := w.upload(token, file).body.AvatarURL
		w.wantPictures(1)
		if res, _ := w.fetch(first); res.StatusCode != http.StatusNotFound {
			t.Errorf("the replaced picture: %d", res.StatusCode)
		}
		if res, _ := w.fetch(second); res.StatusCode != http.StatusOK {
			t.Errorf("the new picture: %d", res.StatusCode)
		}
	})
	for name, replace := range map[string]func(w *world, token string){
		"an address that was typed": func(w *world, token string) { w.typed(token, "avatarUrl", typedAvatar) },
		"WeChat's picture": func(w *world, token string) {
			w.pass(time.Minute)
			w.mustUpdate(token, w.phone("alice").GetUserInfo())
		},
	} {
		t.Run("is deleted for "+name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login(w.phone("alice")).Token
			w.upload(token, file)
			w.wantPictures(1)
			replace(w, token)
			w.wantPictures(0)
		})
	}
	t.Run("a picture stays while the nickname changes", func(t *testing.T) {
		w := newWorld(t)
		token := w.login(w.phone("alice")).Token
		address := w.upload(token, file).body.AvatarURL
		w.typed(token, "nickName", "Al")
		w.typed(token, "nickName", "Ali", "avatarUrl", address)
		w.wantPictures(1)
		if r := w.readBack("", "Bearer "+token); r.body.UserInfo["avatarUrl"] != address {
			t.Errorf("the avatar is %v", r.body.UserInfo["avatarUrl"])
		}
	})
	t.Run("another user's picture is refused", func(t *testing.T) {
		w := newWorld(t)
		address := w.upload(w.login(w.phone("alice")).Token, file).body.AvatarURL
		bob := w.login(w.phone("bob")).Token
		w.wantProblem(w.typed(bob, "nickName", "Bob", "avatarUrl", address), 400, "invalid_request", "none")
		w.upload(bob, file)
		w.wantProblem(w.typed(bob, "avatarUrl", address), 400, "invalid_request", "none")
		w.wantPictures(2)
	})
}

// What the database holds is a path: its address is that of today's PUBLIC_URL.
func TestUploadAvatar_addresses(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	address := w.upload(token, pictureFiles(t)["png"]).body.AvatarURL
	path, ok := strings.CutPrefix(address, avatarBase)
	if !ok || w.column("avatar_url") != path || !strings.HasPrefix(path, "/avatars/") {
		t.Fatalf("%s is stored as %s", address, w.column("avatar_url"))
	}
	for stored, want := range map[string]string{
		path:                                 address,
		address:                              address, // as earlier versions stored it
		"https://before.example.com" + path:  address,
		"https://cdn.example.com/avatar.jpg": "https://cdn.example.com/avatar.jpg",
	} {
		if _, err := w.db.Exec("UPDATE users SET avatar_url = ?", stored); err != nil {
			t.Fatal(err)
		}
		for route, r := range map[string]response{
			"/userInfo":       w.readBack("", "Bearer "+token),
			"/onLogin":        w.form("/onLogin", "code", p.Login()),
			"/updateUserInfo": w.typed(token, "nickName", "Al"),
		} {
			if got := r.body.UserInfo["avatarUrl"]; got != want {
				t.Errorf("%s of %s answers %v, want %s", route, stored, got, want)
			}
		}
	}
}

// The answer says that uploads are not configured, before any token counts, and whatever the size of the picture.
func TestUploadAvatar_says_that_uploads_are_not_configured(t *testing.T) {
	w := newWorld(t, func(su *setup) { su.noAvatars = true })
	token := w.login(w.phone("alice")).Token
	for name, size := range map[string]int{"small": 100, "large": 3 << 20} {
		req := w.request("/uploadAvatar", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; "+
			"name=\"file\"; filename=\"a.png\"\r\n\r\n"+strings.Repeat("a", size)+"\r\n--b--\r\n")
		req.Header.Set("Authorization", "Bearer "+token)
		r := w.do(req)
		w.wantProblem(r, http.StatusNotFound, "not_found", "none")
		for _, want := range []string{"not configured", "AVATAR_DIR", "AVATAR_S3_ENDPOINT"} {
			if !strings.Contains(r.body.Detail, want) {
				t.Errorf("%s: the detail lacks %s: %s", name, want, r.body.Detail)
			}
		}
	}
	if strings.Contains(w.logs.String(), token) {
		t.Error("the log holds the token")
	}
}
