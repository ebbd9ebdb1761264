package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

var errOpenData = errors.New("open data")

// updateUserInfo costs one GET, one UPDATE and one SELECT.
func (s *server) updateUserInfo(w http.ResponseWriter, r *http.Request) {
	openID, sessionKey, err := s.session(r)
	if err != nil {
		http.Error(w, "token", http.StatusUnauthorized)
		return
	}
	given, err := decrypt(sessionKey, r.PostFormValue("encryptedData"), r.PostFormValue("iv"))
	if err != nil {
		http.Error(w, "data", http.StatusUnprocessableEntity)
		return
	}
	_, err = s.update.ExecContext(r.Context(),
		given.NickName, given.AvatarURL, given.Gender, given.City, given.Province, given.Country, openID)
	if err != nil {
		http.Error(w, "mysql", http.StatusInternalServerError)
		return
	}
	var user userInfo
	row := s.readAll.QueryRowContext(r.Context(), openID)
	if err := row.Scan(&user.NickName, &user.AvatarURL, &user.Gender, &user.City, &user.Province, &user.Country); err != nil {
		http.Error(w, "mysql", http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"status": http.StatusOK, "userInfo": user})
}

// introspect costs one GET.
func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	openID, _, err := s.session(r)
	if err != nil {
		answer(w, map[string]any{"active": false})
		return
	}
	answer(w, map[string]any{"active": true, "openid": openID})
}

func (s *server) session(r *http.Request) (openID, sessionKey string, err error) {
	record, err := s.redis.Get(r.Context(), "bare:"+r.PostFormValue("token")).Result()
	if err != nil {
		return "", "", err
	}
	openID, sessionKey, _ = strings.Cut(record, " ")
	return openID, sessionKey, nil
}

func decrypt(sessionKey, encryptedData, iv string) (info userInfo, err error) {
	key, keyErr := base64.StdEncoding.DecodeString(sessionKey)
	data, dataErr := base64.StdEncoding.DecodeString(encryptedData)
	vector, ivErr := base64.StdEncoding.DecodeString(iv)
	if err := errors.Join(keyErr, dataErr, ivErr); err != nil {
		return info, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return info, err
	}
	if len(data) == 0 || len(data)%aes.BlockSize != 0 || len(vector) != aes.BlockSize {
		return info, errOpenData
	}
	cipher.NewCBCDecrypter(block, vector).CryptBlocks(data, data)
	padding := int(data[len(data)-1])
	if padding > len(data) {
		return info, errOpenData
	}
	err = json.Unmarshal(data[:len(data)-padding], &info)
	return info, err
}
