package config

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// UnknownVariable is an environment variable that looks like a variable of this server but is not one.
type UnknownVariable struct {
	Name    string
	Nearest string // the variable that was probably meant; "" if there is no similar one
}

// String returns a sentence for the operator, without the value.
func (u UnknownVariable) String() string {
	if u.Nearest == "" {
		return u.Name + " is not a variable of wxlogin"
	}
	return fmt.Sprintf("%s is not a variable of wxlogin: did you mean %s?", u.Name, u.Nearest)
}

// UnknownVariables returns the variables of environ whose prefix, such as MYSQL_, is that of a variable of Config, but that
// Config does not read, sorted by name. It leaves out variables that container platforms and the images of MySQL and Redis
// are known to set.
func UnknownVariables(environ []string) []UnknownVariable {
	known := variableNames(reflect.TypeFor[Config]())
	prefixes := make(map[string]bool)
	for _, name := range known {
		prefixes[prefixOf(name)] = true
	}
	unknown := make(map[string]UnknownVariable)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		upper := strings.ToUpper(name)
		if prefixes[prefixOf(upper)] && !slices.Contains(known, name) && !isForeign(upper, value) {
			unknown[name] = UnknownVariable{name, nearest(upper, known)}
		}
	}
	return slices.SortedFunc(maps.Values(unknown), func(a, b UnknownVariable) int { return cmp.Compare(a.Name, b.Name) })
}

// WarnUnknownVariables logs a warning for each of UnknownVariables.
func WarnUnknownVariables(ctx context.Context, environ []string, logger *slog.Logger) {
	for _, u := range UnknownVariables(environ) {
		logger.WarnContext(ctx, u.String(), "variable", u.Name)
	}
}

// prefixOf returns a name up to and including its first underscore, and "" if it has none.
func prefixOf(name string) string {
	prefix, _, ok := strings.Cut(name, "_")
	if !ok {
		return ""
	}
	return prefix + "_"
}

// serviceVariable matches the variables that Kubernetes sets for each service of a namespace, and Docker for linked
// containers: a service redis causes REDIS_SERVICE_HOST, REDIS_PORT_6379_TCP_ADDR and others.
var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|ENV_[A-Z0-9_]+)$`)

// foreignVariables are set by the images of MySQL, MariaDB and Redis, by their clients, or by desktops.
var foreignVariables = map[string]bool{
	"MYSQL_ROOT_PASSWORD": true, "MYSQL_ROOT_HOST": true, "MYSQL_DATABASE": true, "MYSQL_USER": true, "MYSQL_PASSWORD": true,
	"MYSQL_ALLOW_EMPTY_PASSWORD": true, "MYSQL_RANDOM_ROOT_PASSWORD": true, "MYSQL_ONETIME_PASSWORD": true,
	"MYSQL_INITDB_SKIP_TZINFO": true, "MYSQL_LOG_CONSOLE": true, "MYSQL_MAJOR": true, "MYSQL_VERSION": true,
	"MYSQL_SHELL_VERSION": true, "MYSQL_CHARSET": true, "MYSQL_COLLATION": true,
	"MYSQL_HOST": true, "MYSQL_PORT": true, "MYSQL_TCP_PORT": true, "MYSQL_UNIX_PORT": true, "MYSQL_PWD": true, "MYSQL_HOME": true,
	"MYSQL_HISTFILE": true, "MYSQL_HISTIGNORE": true, "MYSQL_PS1": true, "MYSQL_GROUP_SUFFIX": true, "MYSQL_DEBUG": true,
	"MYSQL_TEST_LOGIN_FILE": true, "MYSQL_REPLICATION_MODE": true, "MYSQL_REPLICATION_USER": true, "MYSQL_REPLICATION_PASSWORD": true,
	"REDIS_HOST": true, "REDIS_PORT": true, "REDIS_PASSWORD": true, "REDIS_USERNAME": true, "REDIS_DATABASE": true, "REDIS_ARGS": true,
	"REDIS_VERSION": true, "REDIS_DOWNLOAD_URL": true, "REDIS_DOWNLOAD_SHA": true, "REDIS_AOF_ENABLED": true,
	"REDIS_REPLICATION_MODE": true, "REDIS_MASTER_HOST": true, "REDIS_MASTER_PASSWORD": true,
	"SESSION_MANAGER": true,
}

// isForeign reports whether a variable was probably set for another program.
func isForeign(name, value string) bool {
	link := strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://") // tcp://10.0.0.7:6379
	return link || serviceVariable.MatchString(name) || foreignVariables[strings.TrimSuffix(name, fileSuffix)]
}

// nearest returns the known name with the smallest edit distance to name; "" if that is more than a quarter of the name's
// length.
func nearest(name string, known []string) string {
	if base, ok := strings.CutSuffix(name, fileSuffix); ok && slices.Contains(known, base) {
		return base // it cannot be read from a file
	}
	best, fewest := "", max(3, len(name)/4)+1
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < fewest {
			best, fewest = candidate, d
		}
	}
	return best
}

// editDistance returns the number of insertions, deletions, replacements and swaps of neighbours that turn a into b (the
// optimal string alignment distance). Both are ASCII.
func editDistance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
