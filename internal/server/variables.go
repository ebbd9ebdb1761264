package server

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// fileSuffix ends the name of the variable that names a secret's file.
const fileSuffix = "_FILE"

// listVariables may have a line for each entry, and line breaks around them.
var listVariables = []string{"WECHAT_APPS", "MYSQL_REPLICA_DSNS", "TRUSTED_PROXIES"}

// variableNames are the environment variables that a configuration reads, sorted. A secret's file is one too.
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

// cleanValues reports what travelled along with values from where they were written, such as the CR of a file from Windows or
// quotes that `docker run --env-file` takes for a part of the value, and takes it away in vars, so that nothing else is reported
// because of it.
func cleanValues(vars map[string]string, names []string) (faults []error) {
	for _, name := range names {
		value, ok := vars[name]
		if !ok {
			continue
		}
		if slices.Contains(listVariables, name) {
			value = strings.Join(strings.Fields(value), " ")
		}
		clean, fault := cleanValue(value)
		if fault != "" {
			faults = append(faults, fmt.Errorf("%s %s", name, fault))
		}
		vars[name] = clean
	}
	return faults
}

// cleanValue returns a value without what is around it, and what that is; "" if there is nothing.
func cleanValue(value string) (clean, fault string) {
	clean = strings.TrimFunc(value, isBlank)
	switch inner, quoted := unquoted(clean); {
	case quoted:
		return inner, "has quotes around its value: write it without them"
	case strings.ContainsFunc(clean, unicode.IsControl):
		return clean, "has a line break or another control character inside its value"
	case clean == value:
		return clean, ""
	case strings.ContainsRune(value, '\r'):
		return clean, "has a carriage return around its value, as lines of files from Windows have: save the file with LF line ends"
	}
	return clean, "has a space, a line break or another invisible character around its value"
}

// unquoted returns what is between two quotes of a kind.
func unquoted(value string) (inner string, quoted bool) {
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		return strings.TrimFunc(value[1:n-1], isBlank), true
	}
	return value, false
}

// isBlank reports whether a character at the end of a value cannot be seen: spaces, control characters and format characters such
// as a byte order mark.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}
