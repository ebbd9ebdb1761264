package app

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// secretVariables may also come from a file that NAME_FILE names, as container platforms mount secrets.
var secretVariables = []string{
	"WECHAT_SECRET", "WECHAT_SECRET_PREVIOUS", "WECHAT_APPS", "MYSQL_DSN", "MYSQL_REPLICA_DSNS",
	"REDIS_URL", "INTERNAL_API_KEY", "AVATAR_S3_SECRET_KEY",
}

// variables makes a map of environ and fills in the secrets that stand in files.
func variables(environ []string) (map[string]string, []error) {
	vars := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	var faults []error
	for _, name := range secretVariables {
		file := vars[name+"_FILE"]
		if file == "" {
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
		vars[name] = strings.TrimSpace(string(content))
	}
	vars["WECHAT_APPS"] = strings.Join(strings.FieldsFunc(vars["WECHAT_APPS"], listSeparator), ",")
	return vars, faults
}

// listSeparator tells what may stand between the entries of a list: a file may have a line for each.
func listSeparator(r rune) bool { return r == ',' || unicode.IsSpace(r) }
