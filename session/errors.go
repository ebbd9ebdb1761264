package session

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that the token stands for no session: malformed, unknown, expired or revoked. Which of them is
	// not told, because a client can do only one thing about it: log in again.
	ErrNotFound = errors.New("session: not found")

	// ErrUnavailable says that Redis could not be asked. It tells nothing about the token, which may well be valid.
	ErrUnavailable = errors.New("session: redis unavailable")
)

// unavailable marks a Redis fault. Redis's own errors name keys (hashes) and addresses, never a value.
func unavailable(op string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, err)
}
