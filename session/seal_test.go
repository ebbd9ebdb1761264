package session

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/testenv"
)

// Goroutines that find the same kind at the same time write one line. Each round is another attempt at a race.
func TestStore_warnOnce(t *testing.T) {
	for range 500 {
		var log testenv.Log
		s := &Store{logger: slog.New(slog.NewTextHandler(&log, nil))}
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				<-begin
				for kind := range recordErrorTexts {
					s.warnOnce(t.Context(), "test", recordError(kind))
				}
			})
		}
		close(begin)
		wg.Wait()
		if n := strings.Count(log.String(), "\n"); n != len(recordErrorTexts) {
			t.Fatalf("%d lines for %d kinds", n, len(recordErrorTexts))
		}
	}
}

// A record that can be decoded is encoded to the same bytes.
func FuzzDecodeRecord(f *testing.F) {
	good, err := encodeRecord(Session{AppID: "wx1", OpenID: "o1", SessionKey: "k", CreatedAt: time.Unix(1_700_000_000, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add([]byte{})
	longest, err := encodeRecord(Session{AppID: strings.Repeat("w", 255), OpenID: "o1", SessionKey: "k"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(longest)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := encodeRecord(s)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is decoded, and encoded as %x (%v)", b, again, err)
		}
	})
}

// Only the bytes that seal returned for this token can be unsealed.
func FuzzKeyringOpen(f *testing.F) {
	s, err := newSealer("wx1", "secret")
	if err != nil {
		f.Fatal(err)
	}
	keys := keyring{s.id: s}
	hash := hashToken("token")
	record, err := encodeRecord(Session{AppID: "wx1", OpenID: "o1", SessionKey: "k"})
	if err != nil {
		f.Fatal(err)
	}
	sealed := s.seal(record, hash)
	if _, err := keys.unseal(sealed, hash); err != nil {
		f.Fatal(err)
	}
	f.Add(sealed[:len(sealed)-1])
	f.Add(sealed[:headerLength])
	f.Add(s.seal(record, hashToken("another token")))
	f.Add(append(bytes.Clone(sealed), make([]byte, maxSealed)...))
	f.Add([]byte{sealVersion})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Equal(b, sealed) {
			return
		}
		got, err := keys.unseal(b, hash)
		if err == nil {
			t.Errorf("%x is unsealed as %v", b, got)
		}
		if kind, ok := errors.AsType[recordError](err); !ok || int(kind) >= len(recordErrorTexts) {
			t.Errorf("%x is not unsealed: %v, want a recordError", b, err)
		}
	})
}

func FuzzWellFormed(f *testing.F) {
	f.Add(newToken())
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if !isWellFormed(token) {
			return
		}
		raw, err := strictBase64URL.DecodeString(token)
		if err != nil || len(raw) != tokenBytes || strictBase64URL.EncodeToString(raw) != token {
			t.Errorf("%q is taken for a token", token)
		}
	})
}
