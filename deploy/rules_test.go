package deploy_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// rule is one of Prometheus's: it records a series, or it is an alert.
type rule struct {
	Record, Alert, Expr string
	For                 string
	Labels, Annotations labels
}

// rulesIn reads the rules of one file.
func rulesIn(t *testing.T, file string) []rule {
	t.Helper()
	var content struct {
		Groups []struct{ Rules []rule }
	}
	decode(t, file, &content)
	var all []rule
	for _, g := range content.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", file)
	}
	return all
}

func recordings(t *testing.T) []rule { return rulesIn(t, "prometheus/rules/recording.yml") }
func alerts(t *testing.T) []rule     { return rulesIn(t, "prometheus/rules/alerts.yml") }

func decode(t *testing.T, file string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, file)), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// ruleTests are what promtool runs: expectations about alerts, and about expressions.
type ruleTests struct {
	Alerts []struct {
		Alert    string `yaml:"alertname"`
		Expected []any  `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
	Expressions []struct {
		Expr    string
		Samples []any `yaml:"exp_samples"`
	} `yaml:"promql_expr_test"`
}

func allRuleTests(t *testing.T) []ruleTests {
	t.Helper()
	files, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of rules, %v", err)
	}
	var all []ruleTests
	for _, file := range files {
		var content struct{ Tests []ruleTests }
		decode(t, file, &content)
		all = append(all, content.Tests...)
	}
	return all
}

// A name tells the labels that are left, so that nobody has to look them up.
func TestRecordings_are_named_by_their_labels(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range recordings(t) {
		parts := strings.Split(r.Record, ":")
		if len(parts) != 3 || seen[r.Record] {
			t.Errorf("%s is not level:metric:operation, or there twice", r.Record)
			continue
		}
		seen[r.Record] = true
		for _, grouping := range groupingsIn(r.Expr) {
			if grouping != parts[0] {
				t.Errorf("%s is grouped by %s", r.Record, grouping)
			}
		}
	}
}

// What nobody reads costs memory for nothing.
func TestRecordings_are_used_and_tested(t *testing.T) {
	var read, tested []string
	for _, a := range alerts(t) {
		read = append(read, metricsIn(a.Expr)...)
	}
	for _, q := range dashboardQueries(t) {
		read = append(read, metricsIn(q)...)
	}
	for _, test := range allRuleTests(t) {
		for _, e := range test.Expressions {
			if len(e.Samples) > 0 {
				tested = append(tested, metricsIn(e.Expr)...)
			}
		}
	}
	for _, r := range recordings(t) {
		if !slices.Contains(read, r.Record) {
			t.Errorf("no alert and no panel reads %s", r.Record)
		}
		if !slices.Contains(tested, r.Record) {
			t.Errorf("no test says what %s is", r.Record)
		}
	}
}

func TestAlerts_tell_what_whom_and_where_to_read_on(t *testing.T) {
	name, seen := regexp.MustCompile(`^Wxlogin[A-Za-z]+$`), make(map[string]bool)
	for _, a := range alerts(t) {
		if !name.MatchString(a.Alert) || seen[a.Alert] {
			t.Errorf("%s is no name, or there twice", a.Alert)
		}
		seen[a.Alert] = true
		if d, err := time.ParseDuration(a.For); err != nil || d < time.Minute {
			t.Errorf("%s fires after %q: a single scrape is enough", a.Alert, a.For)
		}
		if s := a.Labels["severity"]; s != "page" && s != "ticket" || len(a.Labels) != 1 {
			t.Errorf("%s has the labels %v", a.Alert, a.Labels)
		}
		if a.Annotations["summary"] == "" || !strings.Contains(a.Annotations["description"], "{{ $value") {
			t.Errorf("%s has no summary, or no value in its description", a.Alert)
		}
		if want := "docs/operations.md#" + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			t.Errorf("%s leads to %q", a.Alert, a.Annotations["runbook_url"])
		}
	}
}

// A heading's anchor is its text in lower case.
func TestAlerts_have_a_runbook_each(t *testing.T) {
	var there, want []string
	for _, m := range regexp.MustCompile(`(?m)^### (Wxlogin\w+)$`).FindAllStringSubmatch(read(t, "../docs/operations.md"), -1) {
		there = append(there, m[1])
	}
	for _, a := range alerts(t) {
		want = append(want, a.Alert)
	}
	slices.Sort(there)
	slices.Sort(want)
	if !slices.Equal(there, want) {
		t.Errorf("docs/operations.md has runbooks of %v\nthe alerts are %v", there, want)
	}
}

// promtool runs the tests; this one sees to it that none is missing.
func TestAlerts_are_tested_both_ways(t *testing.T) {
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range allRuleTests(t) {
		firing := make(map[string]bool)
		for _, a := range test.Alerts {
			firing[a.Alert] = firing[a.Alert] || len(a.Expected) > 0
		}
		for name, fired := range firing {
			fires[name] = fires[name] || fired
			silent[name] = silent[name] || !fired
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !silent[a.Alert] {
			t.Errorf("%s: a test in which it fires %v, one in which it does not %v", a.Alert, fires[a.Alert], silent[a.Alert])
		}
	}
}

// Every errcode that is the operator's job calls somebody; one about a user's code does not.
func TestAlerts_know_the_errcodes(t *testing.T) {
	refused, noNumbers := errcodesOf(t, "WxloginWechatRefusesLogins"), errcodesOf(t, "WxloginWechatRefusesPhoneNumbers")
	for _, unknown := range []string{"43199", "50001", "61007", "77777", "89599"} {
		if !refused.MatchString(unknown) || !noNumbers.MatchString(unknown) {
			t.Errorf("%s calls nobody", unknown)
		}
	}
	if noNumbers.MatchString("40013") || !noNumbers.MatchString("48001") { // 40013: another mini-program's phone code
		t.Error("a phone code of another mini-program calls somebody, or 48001 does not")
	}
	const quota = "45009" // has an alert of its own
	source := read(t, "../wechat/errors.go")
	codes := regexp.MustCompile(`(?m)^\t(\w+): +\{(Kind\w+),`).FindAllStringSubmatch(source, -1)
	if len(codes) < 10 {
		t.Fatalf("%d errcodes were found", len(codes))
	}
	for _, c := range codes {
		code, kind := c[1], c[2]
		if m := regexp.MustCompile(`\b` + code + ` += (\d+)`).FindStringSubmatch(source); m != nil {
			code = m[1]
		}
		if want := kind == "KindMisconfigured" && code != quota; refused.MatchString(code) != want {
			t.Errorf("%s is %s; alert: %v", code, kind, !want)
		}
	}
}

// errcodesOf are the errcodes that an alert is about.
func errcodesOf(t *testing.T, alert string) *regexp.Regexp {
	t.Helper()
	for _, a := range alerts(t) {
		for _, m := range matchersIn(a.Expr) {
			if a.Alert == alert && m.label == "errcode" {
				return regexp.MustCompile("^(?:" + m.value + ")$")
			}
		}
	}
	t.Fatalf("%s is about no errcodes", alert)
	return nil
}
