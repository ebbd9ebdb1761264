package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// minAPIKey is the minimum length of an API key, in characters.
const minAPIKey = 16

// APIKey is a key of the team's other services.
type APIKey struct {
	Name string // of the key, in the log and in user_changes
	Key  string
}

// keyName is the form of the name in "name:key".
var keyName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// APIKeys returns the keys that are accepted, the current one first. A value "name:key" is accepted as a whole too, because
// it may be a key with a colon.
func (c Config) APIKeys() (keys []APIKey) {
	for _, value := range []struct{ name, text string }{{"current", c.InternalAPIKey}, {"previous", c.InternalAPIKeyPrevious}} {
		if value.text == "" {
			continue
		}
		name := value.name
		if prefix, key, found := strings.Cut(value.text, ":"); found && keyName.MatchString(prefix) && isAPIKey(key) {
			name = prefix
			keys = append(keys, APIKey{name, key})
		}
		keys = append(keys, APIKey{name, value.text})
	}
	return keys
}

func (c Config) validateAPIKeys() (errs []error) {
	for name, key := range map[string]string{"INTERNAL_API_KEY": c.InternalAPIKey, "INTERNAL_API_KEY_PREVIOUS": c.InternalAPIKeyPrevious} {
		if key != "" && !isAPIKey(key) {
			errs = append(errs, fmt.Errorf("%s is not %d or more ASCII letters, digits and signs", name, minAPIKey))
		}
	}
	if c.InternalAPIKey == "" && c.InternalAPIKeyPrevious != "" {
		errs = append(errs, errors.New("INTERNAL_API_KEY_PREVIOUS is set, and INTERNAL_API_KEY is not"))
	}
	return errs
}

// isAPIKey reports whether a key is too long to be guessed and fits into a header unescaped.
func isAPIKey(key string) bool {
	return len(key) >= minAPIKey && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}
