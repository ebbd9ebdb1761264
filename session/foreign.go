package session

import (
	"context"
	"errors"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// foreign is a kind of thing that stands in Redis where a Store writes, and that no Store with these secrets wrote. It
// counts as nothing. As an error it says nothing of what it met.
type foreign uint8

const (
	wrongType      foreign = iota // a key holds another Redis type than ours
	wrongLength                   // shorter than any record of ours, or longer
	unknownVersion                // laid out by another version of this package, or by somebody else
	unknownKey                    // sealed under an AppSecret that the Store does not know (any longer)
	altered                       // sealed for another token, or changed since
	notASession                   // sealed under our key, and no session of its app
	notAHash                      // an index member that names no record
	anotherUsers                  // an index member that is another user's session
)

var foreignTexts = [...]string{
	wrongType: "wrong type", wrongLength: "wrong length", unknownVersion: "unknown version", unknownKey: "unknown key",
	altered: "altered or another token's", notASession: "not a session", notAHash: "not a hash", anotherUsers: "another user's",
}

func (f foreign) Error() string { return "session: foreign in redis: " + foreignTexts[f] }

// met logs the first foreign thing of each kind. Were every one logged, one spoilt Redis would fill the log.
func (s *Store) met(ctx context.Context, op string, err error) {
	f, ok := errors.AsType[foreign](err)
	if !ok {
		return
	}
	if bit := uint32(1) << f; s.kindsMet.Or(bit)&bit != 0 {
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "redis holds something that is no session of ours; more of its kind is not logged",
		slog.String("kind", foreignTexts[f]), slog.String("op", op))
}

// missing tells a key that holds nothing of ours (nothing, or a value of another type) from a fault.
func (s *Store) missing(ctx context.Context, op string, err error) bool {
	if isWrongType(err) {
		s.met(ctx, op, wrongType)
		return true
	}
	return errors.Is(err, redis.Nil)
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }
