package handlers

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/wechat"
)

// maxSignedData is how long the data of POST /sign may be, in bytes.
const maxSignedData = 16 << 10

// keyHolder does for other services what needs a session_key, which never leaves this server.
type keyHolder struct {
	*introspector
	decryptor *decryptor
}

// mountSessionKey adds POST /sign and POST /decrypt.
func mountSessionKey(r *chi.Mux, o InternalOptions, i *introspector, guard func(http.Handler) http.Handler) {
	k := &keyHolder{i, newDecryptor(i.accounts, o.Counter, o.FailedUpdates, o.DecryptRetryDelay, o.Metrics)}
	r.Method(http.MethodPost, "/sign", guard(handle(k.sign)))
	r.Method(http.MethodPost, "/decrypt", guard(handle(k.decrypt)))
}

// signResponse is the response of POST /sign.
type signResponse struct {
	Status    int    `json:"status"`
	Signature string `json:"signature"`
}

// sign serves POST /sign, which signs data with the newest session_key of the token's user. WeChat checks signatures with
// the key of the user's last login, which may have been on another device.
func (k *keyHolder) sign(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	data, err := f.Required("data")
	if err != nil {
		return err
	}
	if len(data) > maxSignedData {
		return invalidField("data", "data must be at most 16 KiB.")
	}
	owner, err := k.ownerOf(r, f)
	if err != nil {
		return err
	}
	key, err := k.newestSessionKey(r.Context(), owner.session)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, signResponse{http.StatusOK, wechat.SignData(key, data)})
}

func (k *keyHolder) newestSessionKey(ctx context.Context, sess session.Session) (string, error) {
	ctx, cancel := k.withStorageTimeout(ctx)
	defer cancel()
	return k.sessions.NewestSessionKey(ctx, sess)
}

// decryptResponse is the response of POST /decrypt.
type decryptResponse struct {
	Status int             `json:"status"`
	Data   json.RawMessage `json:"data"` // WeChat's object
}

// decrypt serves POST /decrypt, which decrypts open data of the token's user, of whatever kind.
func (k *keyHolder) decrypt(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	owner, err := k.ownerOf(r, f)
	if err != nil {
		return err
	}
	data, err := readEncryptedData(f)
	if err != nil {
		return err
	}
	decrypted, err := decryptRateLimited(r.Context(), k.decryptor, owner.session, data.anyData)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, decryptResponse{http.StatusOK, decrypted})
}

// ownerOf returns the owner of the token in a request. The API key may be in Authorization; then the token is a field.
func (k *keyHolder) ownerOf(r *http.Request, f request.Fields) (tokenOwner, error) {
	token := f["token"]
	if token == "" || len(r.Header.Values(headerAPIKey)) > 0 {
		var err error
		if token, err = request.Token(r.Header, f); err != nil {
			return tokenOwner{}, err
		}
	}
	return k.owner(r.Context(), token)
}
