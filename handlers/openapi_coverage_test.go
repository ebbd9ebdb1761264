package handlers_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// seenElsewhere are responses that the tests within the package show.
var seenElsewhere = []string{"POST /wechatPush/{appid} 504"}

// TestMain reports what docs/openapi.yaml describes and no test has seen, if all tests have run.
func TestMain(m *testing.M) {
	exitCode := m.Run()
	some := slices.ContainsFunc([]string{"run", "skip", "list", "fuzz"}, func(name string) bool {
		return flag.Lookup("test."+name).Value.String() != ""
	})
	if d, err := loadDescription(); err == nil && exitCode == 0 && !some && !withRaceDetector {
		for _, problem := range d.unseen() {
			fmt.Fprintln(os.Stderr, "docs/openapi.yaml:", problem)
			exitCode = 1
		}
	}
	os.Exit(exitCode)
}

// unseen returns what no test has seen. Every operation may have a bug, so that one 500 is enough for all.
func (d *description) unseen() (problems []string) {
	internal := false
	for response := range d.seen {
		internal = internal || strings.HasSuffix(response, " 500 internal")
	}
	if !internal {
		problems = append(problems, "no test has seen a 500")
	}
	for operation, o := range d.operations() {
		for status, response := range o.Responses.Map() {
			if status == "500" || status == "default" {
				continue
			}
			for _, name := range responseNames(operation+" "+status, response.Value) {
				if !d.seen[name] && !slices.Contains(seenElsewhere, name) {
					problems = append(problems, "no test has seen "+name)
				}
			}
		}
	}
	slices.Sort(problems)
	return slices.Compact(problems)
}

// operations returns all operations by method and path. A path and what is below it count as one.
func (d *description) operations() map[string]*openapi3.Operation {
	operations := make(map[string]*openapi3.Operation)
	for path, item := range d.Paths.Map() {
		for method, o := range item.Operations() {
			operations[operationName(method, path)] = o
		}
	}
	return operations
}

func operationName(method, path string) string {
	return method + " " + strings.TrimSuffix(path, "/{path}")
}

// problemCode finds the code of a problem.
var problemCode = regexp.MustCompile(`"code":"([a-z_]+)"`)

// seenResponse names the kind of a response, such as POST /onLogin 400 invalid_code.
func seenResponse(route *routers.Route, x *exchange) string {
	name := fmt.Sprintf("%s %d", operationName(route.Method, route.Path), x.status)
	if code := problemCode.FindStringSubmatch(x.response.String()); code != nil {
		name += " " + code[1]
	}
	return name
}

// responseNames returns the names that seenResponse may give a response: one for each code of a problem.
func responseNames(name string, r *openapi3.Response) (names []string) {
	problem := r.Content["application/problem+json"]
	if problem == nil {
		return []string{name}
	}
	for code := range codes(problem.Schema.Value) {
		names = append(names, name+" "+code)
	}
	return names
}

// codes returns the codes of a problem's schema.
func codes(s *openapi3.Schema) map[string]bool {
	found := make(map[string]bool)
	if code := s.Properties["code"]; code != nil {
		found[code.Value.Const.(string)] = true
	}
	for _, one := range s.OneOf {
		maps.Copy(found, codes(one.Value))
	}
	return found
}
