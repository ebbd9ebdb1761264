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
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/avatar"
)

// pictureFiles returns a picture of each format that phones produce.
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

// invalidFiles returns files that must be rejected.
func invalidFiles(t testing.TB) map[string][]byte {
	t.Helper()
	good := pictureFiles(t)
	bomb := bytes.Clone(good["png"])
	binary.BigEndian.PutUint32(bomb[16:], 60_000)
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	wrongSize := bytes.Clone(good["png"])
	binary.BigEndian.PutUint32(wrongSize[16:], 641)
	binary.BigEndian.PutUint32(wrongSize[29:], crc32.ChecksumIEEE(wrongSize[12:29]))
	half := func(kind string) []byte { return good[kind][:len(good[kind])/2] }
	return map[string][]byte{
		"bomb": bomb, "wrong size": wrongSize, "text": []byte("hello"), "svg": []byte("<svg onload='alert(1)'/>"),
		"half a jpeg": half("jpeg"), "half a png": half("png"),
		"half a gif": half("gif"), "half a webp": half("webp"), "jpeg called png": append([]byte("\x89PNG\r\n\x1a\n"), good["jpeg"]...),
	}
}

// upload sends a file as wx.uploadFile does, with the token in a field before it.
func (srv *testServer) upload(token string, file []byte) response {
	srv.t.Helper()
	return srv.uploadParts(func(m *multipart.Writer) {
		srv.must(m.WriteField("token", token))
		srv.filePart(m, file)
	})
}

func (srv *testServer) filePart(m *multipart.Writer, file []byte) {
	srv.t.Helper()
	part, err := m.CreateFormFile("file", "tmp_1.png")
	srv.must(err)
	_, err = part.Write(file)
	srv.must(err)
}

func (srv *testServer) uploadParts(write func(*multipart.Writer)) response {
	srv.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	write(m)
	srv.must(m.Close())
	return srv.do(srv.request("/uploadAvatar", m.FormDataContentType(), body.String()))
}

// wantPictures checks the number of stored files.
func (srv *testServer) wantPictures(n int) {
	srv.t.Helper()
	files, err := os.ReadDir(srv.avatarDir)
	srv.must(err)
	if len(files) != n {
		srv.t.Errorf("%d files are stored, want %d", len(files), n)
	}
}

// pictures returns the stored files by name.
func (srv *testServer) pictures() map[string]string {
	srv.t.Helper()
	files, err := os.ReadDir(srv.avatarDir)
	srv.must(err)
	contents := make(map[string]string)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(srv.avatarDir, file.Name()))
		srv.must(err)
		contents[file.Name()] = string(content)
	}
	return contents
}

// fetch gets a picture by its URL from the server of this test.
func (srv *testServer) fetch(address string) (*http.Response, []byte) {
	srv.t.Helper()
	res, err := http.Get(strings.Replace(address, avatarBase, srv.public.URL, 1))
	srv.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	srv.must(err)
	return res, b
}

// The flow since 2022: chooseAvatar, upload, nickname input.
func TestUploadAvatar_CompletesProfile(t *testing.T) {
	for kind, file := range pictureFiles(t) {
		t.Run(kind, func(t *testing.T) {
			srv := newTestServer(t)
			token := srv.login(srv.device("alice")).Token
			r := srv.upload(token, file)
			if r.status != http.StatusOK || r.body.ProfileComplete || r.body.AvatarURL == "" || r.body.UserInfo["avatarUrl"] != r.body.AvatarURL {
				t.Fatalf("%d %s", r.status, r.body.Code)
			}
			address := r.body.AvatarURL
			if r := srv.updateManually(token, "nickName", "Al", "avatarUrl", address); r.status != http.StatusOK || !r.body.ProfileComplete || r.body.Anonymous {
				t.Errorf("%d %s, complete %v", r.status, r.body.Code, r.body.ProfileComplete)
			}
			if srv.column("avatar_url") != strings.TrimPrefix(address, avatarBase) || srv.column("nickname") != "Al" || srv.column("profile_source") != "2" {
				t.Error("the database has another profile")
			}
			res, data := srv.fetch(address)
			if picture, _, err := image.Decode(bytes.NewReader(data)); err != nil || picture.Bounds().Dx() > avatar.MaxSide {
				t.Errorf("the served file is not a picture of at most %d pixels: %v", avatar.MaxSide, err)
			}
			if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(res.Header.Get("Content-Type"), "image/") ||
				res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("its headers are %v", res.Header)
			}
			srv.wantPictures(1)
		})
	}
}

func TestUploadAvatar_Rejects(t *testing.T) {
	t.Run("invalid files", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		for kind, file := range invalidFiles(t) {
			t.Run(kind, func(t *testing.T) {
				srv.wantProblem(srv.upload(token, file), 422, "invalid_picture", "none")
			})
		}
		srv.wantProblem(srv.upload(token, make([]byte, avatar.MaxBytes+1)), 413, "request_too_large", "none")
		srv.wantPictures(0)
		if srv.column("avatar_url") != "" {
			t.Error("an avatar was stored")
		}
	})

	t.Run("requests without a valid token or an active user", func(t *testing.T) {
		srv := newTestServer(t)
		file := pictureFiles(t)["jpeg"]
		srv.wantProblem(srv.upload("x", file), 401, "invalid_token", "relogin")
		token := srv.login(srv.device("alice")).Token
		if _, err := srv.db.Exec("UPDATE users SET status = 2"); err != nil {
			t.Fatal(err)
		}
		srv.wantProblem(srv.upload(token, file), 403, "user_blocked", "none")
		srv.wantPictures(0)
	})

	// If the token comes after the file, the file is not read.
	t.Run("a token after the file", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		file := pictureFiles(t)["jpeg"]
		r := srv.uploadParts(func(m *multipart.Writer) {
			srv.filePart(m, file)
			srv.must(m.WriteField("token", token))
		})
		srv.wantProblem(r, 401, "invalid_token", "relogin")
		srv.wantPictures(0)
	})
}

func TestUploadAvatar_Requests(t *testing.T) {
	srv := newTestServer(t)
	token := srv.login(srv.device("alice")).Token
	file := pictureFiles(t)["jpeg"]
	authorized := func(token string, write func(*multipart.Writer)) response {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		write(m)
		srv.must(m.Close())
		req := srv.request("/uploadAvatar", m.FormDataContentType(), body.String())
		req.Header.Set("Authorization", "Bearer "+token)
		return srv.do(req)
	}
	field := func(m *multipart.Writer, name, value string) { srv.must(m.WriteField(name, value)) }
	part := func(m *multipart.Writer, disposition, contentType string) {
		header := textproto.MIMEHeader{"Content-Disposition": {"form-data; " + disposition}}
		if contentType != "" {
			header.Set("Content-Type", contentType)
		}
		p, err := m.CreatePart(header)
		srv.must(err)
		_, err = p.Write(file)
		srv.must(err)
	}
	for name, write := range map[string]func(*multipart.Writer){
		"the token in the header":        func(m *multipart.Writer) { field(m, "user", "x"); srv.filePart(m, file) },
		"the token there and in a field": func(m *multipart.Writer) { srv.filePart(m, file); field(m, "token", token) },
		"a file without a filename":      func(m *multipart.Writer) { part(m, `name="file"`, "") },
		"a picture without a filename":   func(m *multipart.Writer) { part(m, `name="avatar"`, "image/jpeg") },
		"bytes without a filename":       func(m *multipart.Writer) { part(m, `name="x"`, "application/octet-stream") },
		"an empty filename":              func(m *multipart.Writer) { part(m, `name="file"; filename=""`, "") },
		"a filename in Chinese":          func(m *multipart.Writer) { part(m, `name="a"; filename*=UTF-8''%E5%9B%BE.jpg`, "") },
		"fields after the file":          func(m *multipart.Writer) { srv.filePart(m, file); field(m, "x", "y") },
	} {
		t.Run(name, func(t *testing.T) {
			if r := authorized(token, write); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		})
	}
	srv.wantPictures(1)
	for name, r := range map[string]response{
		"no file":                srv.uploadParts(func(m *multipart.Writer) { field(m, "token", token) }),
		"an empty file":          srv.upload(token, nil),
		"two files":              authorized(token, func(m *multipart.Writer) { srv.filePart(m, file); srv.filePart(m, file) }),
		"two tokens":             srv.uploadParts(func(m *multipart.Writer) { field(m, "token", token); field(m, "token", token) }),
		"two tokens that differ": authorized(token, func(m *multipart.Writer) { srv.filePart(m, file); field(m, "token", token[1:]+"A") }),
		"many parts": authorized(token, func(m *multipart.Writer) {
			for range 20 {
				field(m, "x", "y")
			}
		}),
		"a body that is cut off": authorizedRaw(srv, token, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc"),
		"garbage":                authorizedRaw(srv, token, "hello"),
		"a part with two names": authorizedRaw(srv, token, "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n"+
			"Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc\r\n--b--"),
	} {
		t.Run(name, func(t *testing.T) { srv.wantProblem(r, 400, "invalid_request", "none") })
	}
	srv.wantProblem(srv.do(srv.request("/uploadAvatar", formType, "token="+token)), 415, "unsupported_media_type", "none")
	srv.wantPictures(1)
}

func authorizedRaw(srv *testServer, token, body string) response {
	req := srv.request("/uploadAvatar", "multipart/form-data; boundary=b", body)
	req.Header.Set("Authorization", "Bearer "+token)
	return srv.do(req)
}

func TestServeAvatar_NotFound(t *testing.T) {
	srv := newTestServer(t)
	for _, name := range []string{strings.Repeat("a", 32) + ".jpg", "x.txt", "..%2f..%2fetc%2fpasswd", ""} {
		if res, _ := srv.fetch(avatarBase + "/avatars/" + name); res.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %d", name, res.StatusCode)
		}
	}
	// A URL that this server has never issued is not valid either.
	token := srv.login(srv.device("alice")).Token
	srv.wantProblem(srv.updateManually(token, "avatarUrl", avatarBase+"/avatars/"+strings.Repeat("a", 32)+".jpg"), 400, "invalid_request", "none")
}

// Some phones append a video or other pictures to a picture. They are dropped.
func TestUploadAvatar_TrailingData(t *testing.T) {
	const tail = "PK\x03\x04 an archive"
	for kind, file := range pictureFiles(t) {
		t.Run(kind, func(t *testing.T) {
			srv := newTestServer(t)
			r := srv.upload(srv.login(srv.device("alice")).Token, append(file, tail...))
			if r.status != http.StatusOK {
				t.Fatalf("%d %s", r.status, r.body.Code)
			}
			if _, data := srv.fetch(r.body.AvatarURL); len(data) == 0 || bytes.Contains(data, []byte(tail)) {
				t.Errorf("%d bytes are served, with the trailing data", len(data))
			}
		})
	}
}

func TestUploadAvatar_Files(t *testing.T) {
	file := pictureFiles(t)["png"]
	t.Run("one file belongs to one user", func(t *testing.T) {
		srv := newTestServer(t)
		alice := srv.upload(srv.login(srv.device("alice")).Token, file).body.AvatarURL
		bob := srv.upload(srv.login(srv.device("bob")).Token, file).body.AvatarURL
		if alice == "" || alice == bob {
			t.Error("two users have one file")
		}
		srv.wantPictures(2)
	})
	t.Run("a replaced picture is deleted", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		first := srv.upload(token, file).body.AvatarURL
		second := srv.upload(token, file).body.AvatarURL
		srv.wantPictures(1)
		if res, _ := srv.fetch(first); res.StatusCode != http.StatusNotFound {
			t.Errorf("the replaced picture: %d", res.StatusCode)
		}
		if res, _ := srv.fetch(second); res.StatusCode != http.StatusOK {
			t.Errorf("the new picture: %d", res.StatusCode)
		}
	})
	for name, replace := range map[string]func(srv *testServer, token string){
		"an address that was typed": func(srv *testServer, token string) { srv.updateManually(token, "avatarUrl", manualAvatar) },
		"WeChat's picture": func(srv *testServer, token string) {
			srv.advance(time.Minute)
			srv.mustUpdate(token, srv.device("alice").GetUserInfo())
		},
	} {
		t.Run("is deleted for "+name, func(t *testing.T) {
			srv := newTestServer(t)
			token := srv.login(srv.device("alice")).Token
			srv.upload(token, file)
			srv.wantPictures(1)
			replace(srv, token)
			srv.wantPictures(0)
		})
	}
	t.Run("a picture stays while the nickname changes", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		address := srv.upload(token, file).body.AvatarURL
		srv.updateManually(token, "nickName", "Al")
		srv.updateManually(token, "nickName", "Ali", "avatarUrl", address)
		srv.wantPictures(1)
		if r := srv.getUserInfo("", "Bearer "+token); r.body.UserInfo["avatarUrl"] != address {
			t.Errorf("the avatar is %v", r.body.UserInfo["avatarUrl"])
		}
	})
	t.Run("another user's picture is refused", func(t *testing.T) {
		srv := newTestServer(t)
		address := srv.upload(srv.login(srv.device("alice")).Token, file).body.AvatarURL
		bob := srv.login(srv.device("bob")).Token
		srv.wantProblem(srv.updateManually(bob, "nickName", "Bob", "avatarUrl", address), 400, "invalid_request", "none")
		srv.upload(bob, file)
		srv.wantProblem(srv.updateManually(bob, "avatarUrl", address), 400, "invalid_request", "none")
		srv.wantPictures(2)
	})
}

// The database holds a path. Responses have its URL under the current PUBLIC_URL.
func TestUploadAvatar_URLs(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	address := srv.upload(token, pictureFiles(t)["png"]).body.AvatarURL
	path, ok := strings.CutPrefix(address, avatarBase)
	if !ok || srv.column("avatar_url") != path || !strings.HasPrefix(path, "/avatars/") {
		t.Fatalf("%s is stored as %s", address, srv.column("avatar_url"))
	}
	for stored, want := range map[string]string{
		path:                                 address,
		address:                              address, // as earlier versions stored it
		"https://before.example.com" + path:  address,
		"https://cdn.example.com/avatar.jpg": "https://cdn.example.com/avatar.jpg",
	} {
		if _, err := srv.db.Exec("UPDATE users SET avatar_url = ?", stored); err != nil {
			t.Fatal(err)
		}
		for route, r := range map[string]response{
			"/userInfo":       srv.getUserInfo("", "Bearer "+token),
			"/onLogin":        srv.postForm("/onLogin", "code", p.Login()),
			"/updateUserInfo": srv.updateManually(token, "nickName", "Al"),
		} {
			if got := r.body.UserInfo["avatarUrl"]; got != want {
				t.Errorf("%s of %s returns %v, want %s", route, stored, got, want)
			}
		}
	}
}

// The response says that uploads are not configured, whatever the token and the size of the picture.
func TestUploadAvatar_NotConfigured(t *testing.T) {
	srv := newTestServer(t, func(cfg *serverConfig) { cfg.noAvatars = true })
	token := srv.login(srv.device("alice")).Token
	for name, size := range map[string]int{"small": 100, "large": 3 << 20} {
		req := srv.request("/uploadAvatar", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; "+
			"name=\"file\"; filename=\"a.png\"\r\n\r\n"+strings.Repeat("a", size)+"\r\n--b--\r\n")
		req.Header.Set("Authorization", "Bearer "+token)
		r := srv.do(req)
		srv.wantProblem(r, http.StatusNotFound, "not_found", "none")
		for _, want := range []string{"not configured", "AVATAR_DIR", "AVATAR_S3_ENDPOINT"} {
			if !strings.Contains(r.body.Detail, want) {
				t.Errorf("%s: the detail lacks %s: %s", name, want, r.body.Detail)
			}
		}
	}
	if strings.Contains(srv.logs.String(), token) {
		t.Error("the log contains the token")
	}
}
