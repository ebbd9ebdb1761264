package server

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
)

// secretVariables may also come from a file that NAME_FILE names, as container platforms mount secrets.
var secretVariables = []string{
	"WECHAT_SECRET", "WECHAT_SECRET_PREVIOUS", "WECHAT_APPS", "MYSQL_DSN", "MYSQL_REPLICA_DSNS",
	"REDIS_URL", "INTERNAL_API_KEY", "AVATAR_S3_SECRET_KEY",
}

// variables makes a map of environ, fills in the secrets that stand in files, and checks the values of names.
func variables(environ, names []string) (map[string]string, []error) {
	vars := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	files := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasSuffix(name, fileSuffix) })
	faults := cleanValues(vars, files)
	faults = append(faults, readSecrets(vars, names)...)
	faults = append(faults, cleanValues(vars, names)...)
	vars["WECHAT_APPS"] = strings.Join(strings.FieldsFunc(vars["WECHAT_APPS"], listSeparator), ",")
	return vars, faults
}

// byteOrderMark begins UTF-8 files of some editors.
const byteOrderMark = "\ufeff"

// readSecrets fills in the secrets of names that stand in files. Line ends and spaces around them are the editor's.
func readSecrets(vars map[string]string, names []string) (faults []error) {
	for _, name := range secretVariables {
		file := vars[name+fileSuffix]
		if file == "" || !slices.Contains(names, name) {
			continue
		}
		if vars[name] != "" {
			faults = append(faults, fmt.Errorf("%s and %s_FILE are both set", name, name))
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s_FILE: %w", name, err))
			continue
		}
		vars[name] = strings.TrimSpace(strings.TrimPrefix(string(content), byteOrderMark))
		if vars[name] == "" {
			faults = append(faults, fmt.Errorf("%s_FILE: the file is empty", name))
		}
	}
	return faults
}

// listSeparator tells what may stand between the entries of a list: a file may have a line for each.
func listSeparator(r rune) bool { return r == ',' || unicode.IsSpace(r) }
