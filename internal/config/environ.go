package config

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// secretVariables can also be read from a file that NAME_FILE names, as container platforms mount secrets.
var secretVariables = []string{
	"WECHAT_SECRET", "WECHAT_SECRET_PREVIOUS", "WECHAT_APPS", "MYSQL_DSN", "MYSQL_REPLICA_DSNS",
	"REDIS_URL", "INTERNAL_API_KEY", "INTERNAL_API_KEY_PREVIOUS", "AVATAR_S3_SECRET_KEY", "WECHAT_PUSH",
}

// listVariables may have line breaks between their entries and around them.
var listVariables = []string{"WECHAT_APPS", "WECHAT_PUSH", "MYSQL_REPLICA_DSNS", "TRUSTED_PROXIES"}

// fileSuffix ends the name of a variable that names the file of a secret.
const fileSuffix = "_FILE"

// byteOrderMark begins UTF-8 files of some editors.
const byteOrderMark = "\ufeff"

// variables returns the variables of environ as a map, with the secrets that are in files, and what is wrong with the
// values of names.
func variables(environ, names []string) (map[string]string, []error) {
	vars := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	files := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasSuffix(name, fileSuffix) })
	errs := cleanValues(vars, files)
	errs = append(errs, readSecrets(vars, names)...)
	errs = append(errs, cleanValues(vars, names)...)
	for _, name := range []string{"WECHAT_APPS", "WECHAT_PUSH"} {
		vars[name] = strings.Join(strings.FieldsFunc(vars[name], isListSeparator), ",")
	}
	return vars, errs
}

// readSecrets sets in vars the secrets of names that are in files, without white space around them.
func readSecrets(vars map[string]string, names []string) (errs []error) {
	for _, name := range secretVariables {
		file := vars[name+fileSuffix]
		if file == "" || !slices.Contains(names, name) {
			continue
		}
		if vars[name] != "" {
			errs = append(errs, fmt.Errorf("%s and %s_FILE are both set", name, name))
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s_FILE: %w", name, err))
			continue
		}
		vars[name] = strings.TrimSpace(strings.TrimPrefix(string(content), byteOrderMark))
		if vars[name] == "" {
			errs = append(errs, fmt.Errorf("%s_FILE: the file is empty", name))
		}
	}
	return errs
}

// isListSeparator reports whether r separates the entries of a list: a file may have a line for each entry.
func isListSeparator(r rune) bool { return r == ',' || unicode.IsSpace(r) }

// cleanValues reports values with quotes or invisible characters around them, such as the CR of a file from Windows, or
// the quotes that `docker run --env-file` passes on. It removes them from vars, so that they cause no other error.
func cleanValues(vars map[string]string, names []string) (errs []error) {
	for _, name := range names {
		value, ok := vars[name]
		if !ok {
			continue
		}
		if slices.Contains(listVariables, name) {
			value = strings.Join(strings.Fields(value), " ")
		}
		clean, problem := cleanValue(value)
		if problem != "" {
			errs = append(errs, fmt.Errorf("%s %s", name, problem))
		}
		vars[name] = clean
	}
	return errs
}

// cleanValue returns a value without what is around it, and describes what that is; "" if there is nothing.
func cleanValue(value string) (clean, problem string) {
	clean = strings.TrimFunc(value, isInvisible)
	switch inner, quoted := unquote(clean); {
	case quoted:
		return inner, "has quotes around its value: write it without them"
	case strings.ContainsFunc(clean, unicode.IsControl):
		return clean, "has a line break or another control character inside its value"
	case clean == value:
		return clean, ""
	case strings.ContainsRune(value, '\r'):
		return clean, "has a carriage return around its value, as in files from Windows: save the file with LF line ends"
	}
	return clean, "has a space, a line break or another invisible character around its value"
}

// unquote returns the text between two quotes of the same kind.
func unquote(value string) (inner string, quoted bool) {
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		return strings.TrimFunc(value[1:n-1], isInvisible), true
	}
	return value, false
}

// isInvisible reports spaces, control characters and format characters such as a byte order mark.
func isInvisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// variableNames returns the environment variables that a configuration reads, sorted, with those that name the files of
// secrets.
func variableNames(config reflect.Type) []string {
	names := taggedNames(config)
	for _, name := range secretVariables {
		if slices.Contains(names, name) {
			names = append(names, name+fileSuffix)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func taggedNames(config reflect.Type) (names []string) {
	for f := range config.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("env"), ","); name != "" {
			names = append(names, name)
		} else if f.Type.Kind() == reflect.Struct {
			names = append(names, taggedNames(f.Type)...)
		}
	}
	return names
}

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
