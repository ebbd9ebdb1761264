package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// secretVariables can also be read from a file that NAME_FILE names, as container platforms mount secrets.
var secretVariables = []string{
	"WECHAT_SECRET", "WECHAT_SECRET_PREVIOUS", "WECHAT_APPS", "MYSQL_DSN", "MYSQL_REPLICA_DSNS",
	"REDIS_URL", "INTERNAL_API_KEY", "AVATAR_S3_SECRET_KEY",
}

// listVariables may have line breaks between their entries and around them.
var listVariables = []string{"WECHAT_APPS", "MYSQL_REPLICA_DSNS", "TRUSTED_PROXIES"}

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
	vars["WECHAT_APPS"] = strings.Join(strings.FieldsFunc(vars["WECHAT_APPS"], isListSeparator), ",")
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
