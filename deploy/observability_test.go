package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// rule is a rule of Prometheus: it records a series, or is an alert.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func rulesIn(t *testing.T, file string) (all []rule) {
	t.Helper()
	var content struct{ Groups []struct{ Rules []rule } }
	decode(t, "prometheus/rules/"+file, &content)
	for _, g := range content.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", file)
	}
	return all
}

// ruleTest is a test that promtool runs. It fails if an alert or a sample is not as expected.
type ruleTest struct {
	Input []struct{ Series string } `yaml:"input_series"`
	// Alerts expects alerts at some time: none, if Expected is empty.
	Alerts []struct {
		Alert    string `yaml:"alertname"`
		Expected []any  `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
	Expressions []struct {
		Expr    string
		Samples []any `yaml:"exp_samples"`
	} `yaml:"promql_expr_test"`
}

func ruleTests(t *testing.T) (all []ruleTest) {
	t.Helper()
	files, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of rules, %v", err)
	}
	for _, file := range files {
		var content struct{ Tests []ruleTest }
		decode(t, file, &content)
		all = append(all, content.Tests...)
	}
	return all
}

// dashboard is Grafana's.
type dashboard struct {
	UID, Title string
	Panels     []struct {
		ID                       int
		Type, Title, Description string
		Datasource               struct{ UID string }
		GridPos                  struct{ X, Y, W, H int }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct{ RefID, Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func theDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, "grafana/dashboards/wxlogin.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// A series, one with its conditions as the dashboard and the tests of rules write it, and one condition.
var (
	series    = regexp.MustCompile(`\b(?:(?:wxlogin|go|process)_\w+|\w+:\w+:\w+|up|ALERTS)\b`)
	selector  = regexp.MustCompile(`([A-Za-z_:][\w:]*)\{([^}]*)\}`)
	condition = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
)

// exposed returns the labels of each series that a server shows after one request of each kind that a series is about.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	server := servertest.Start(t, func(c *config.Config) {
		c.MySQL = config.MySQL{MaxOpenConns: 5, ConnMaxLifetime: time.Hour}
		c.Limits = config.Limits{LoginsInFlight: 5, Updates: 1}
		c.Avatars = config.Avatars{Dir: t.TempDir(), PublicURL: "https://login.example.com"}
	})
	phone := server.Simulator.Device(servertest.AppID, wechattest.User{Name: "alice"})
	var login struct{ Token string }
	if err := json.Unmarshal(post(t, server.Public()+"/onLogin", url.Values{"code": {phone.Login()}}, 200), &login); err != nil {
		t.Fatal(err)
	}
	data := phone.GetUserInfo()
	update := url.Values{"token": {login.Token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}}
	post(t, server.Public()+"/updateUserInfo", update, 200)
	post(t, server.Public()+"/updateUserInfo", update, 429)
	post(t, server.Internal()+"/introspect", url.Values{"token": {login.Token}}, 200)

	label := regexp.MustCompile(`(\w+)="`)
	known := map[string][]string{
		"up": {}, "ALERTS": {"alertname", "alertstate"}, // Prometheus's own
		"wxlogin_tls_certificate_expiry_timestamp_seconds": {}, // if the server has a certificate; internal/server tests its name
	}
	for line := range strings.Lines(string(post(t, server.Internal()+"/metrics", nil, 200))) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		labels := []string{}
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			labels = append(labels, m[1])
		}
		known[line[:strings.IndexAny(line, "{ ")]] = labels
	}
	return known
}

// post sends a form, or GET without one, and returns the body of a response that must have a status.
func post(t *testing.T, address string, form url.Values, status int) []byte {
	t.Helper()
	method := http.MethodPost
	if form == nil {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Api-Key", servertest.APIKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Fatalf("%s: status %d, want %d, %v", r.URL.Path, response.StatusCode, status, err)
	}
	return body
}

// A misspelt name or label makes an alert that never fires, and a panel that stays empty. promtool's tests show that each
// alert fires and that each recording has samples, from series that the server must show.
func TestObservability_SeriesExist(t *testing.T) {
	known := exposed(t)
	for _, r := range rulesIn(t, "recording.yml") { // a name begins with the labels, joined by "_"
		level, _, _ := strings.Cut(r.Record, ":")
		known[r.Record] = strings.Split(strings.ReplaceAll(level, "db_name", "db-name"), "_")
	}
	check := func(where, text string) {
		for _, s := range selector.FindAllStringSubmatch(text, -1) {
			labels, ok := known[s[1]]
			if !ok {
				t.Errorf("%s: the server does not show %s", where, s[1])
			}
			for _, c := range condition.FindAllStringSubmatch(s[2], -1) {
				if !slices.Contains(append([]string{"job", "instance", "pod"}, labels...), c[1]) {
					t.Errorf("%s: %s has no label %s", where, s[1], c[1])
				}
			}
		}
	}
	for _, test := range ruleTests(t) {
		for _, input := range test.Input {
			check("the tests of rules", input.Series)
		}
	}
	d := theDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
		}
	}
	for _, v := range d.Templating.List {
		check(v.Name, v.Definition)
	}
}

func TestRules_AreTested(t *testing.T) {
	fires, silent, text := make(map[string]bool), make(map[string]bool), ""
	for _, test := range ruleTests(t) {
		firing := make(map[string]bool)
		for _, a := range test.Alerts {
			firing[a.Alert] = firing[a.Alert] || len(a.Expected) > 0
		}
		for name, fired := range firing {
			fires[name] = fires[name] || fired
			silent[name] = silent[name] || !fired
		}
		for _, e := range test.Expressions {
			if len(e.Samples) > 0 {
				text += e.Expr + "\n"
			}
		}
	}
	var readers bytes.Buffer
	for _, a := range rulesIn(t, "alerts.yml") {
		if !fires[a.Alert] || !silent[a.Alert] {
			t.Errorf("%s: it fires in a test: %v; it does not fire in one: %v", a.Alert, fires[a.Alert], silent[a.Alert])
		}
		readers.WriteString(a.Expr + "\n")
	}
	readers.WriteString(read(t, "grafana/dashboards/wxlogin.json"))
	for _, r := range rulesIn(t, "recording.yml") {
		name := regexp.MustCompile(`\b` + r.Record + `\b`)
		if !name.Match(readers.Bytes()) || !name.MatchString(text) {
			t.Errorf("%s is not tested, or neither an alert nor a panel reads it", r.Record)
		}
	}
}

func TestAlerts_SayWhatHappensAndWhatToDo(t *testing.T) {
	var runbooks, anchors []string
	for _, m := range regexp.MustCompile(`(?m)^### (Wxlogin\w+)$`).FindAllStringSubmatch(read(t, "../docs/operations.md"), -1) {
		runbooks = append(runbooks, "docs/operations.md#"+strings.ToLower(m[1]))
	}
	for _, a := range rulesIn(t, "alerts.yml") {
		anchors = append(anchors, "docs/operations.md#"+strings.ToLower(a.Alert))
		if a.Annotations["runbook_url"] != anchors[len(anchors)-1] {
			t.Errorf("%s leads to %q", a.Alert, a.Annotations["runbook_url"])
		}
		if d, err := time.ParseDuration(a.For); err != nil || d < time.Minute {
			t.Errorf("%s fires after %q: a single scrape is enough", a.Alert, a.For)
		}
		if s := a.Labels["severity"]; s != "page" && s != "ticket" || len(a.Labels) != 1 {
			t.Errorf("%s has the labels %v", a.Alert, a.Labels)
		}
		if a.Annotations["summary"] == "" || !strings.Contains(a.Annotations["description"], "{{ $value") {
			t.Errorf("%s has no summary, or no value in its description", a.Alert)
		}
	}
	slices.Sort(runbooks)
	slices.Sort(anchors)
	if !slices.Equal(runbooks, anchors) {
		t.Errorf("docs/operations.md has runbooks of %v\nthe alerts are %v", runbooks, anchors)
	}
}

// An errcode that is the operator's job fires an alert; one about a user's code does not.
func TestAlerts_KnowTheErrcodes(t *testing.T) {
	refused, noNumbers := errcodesOf(t, "WxloginWechatRefusesLogins"), errcodesOf(t, "WxloginWechatRefusesPhoneNumbers")
	const quota = 45009 // has an alert of its own
	for _, code := range []int{-1, -1000, 40001, 40002, 40003, 40013, 40014, 40029, 40125, 40163, 40164, 40226, 40243, 41002, 41004, 41008,
		42001, 43002, 43104, 43199, quota, 45011, 47001, 48001, 48004, 50001, 50002, 50004, 50007, 61007, 61024, 77777, 89501, 89503,
		89506, 89507, 89599} {
		misconfigured := kindOf(t, code) == wechat.KindMisconfigured && code != quota
		if text := fmt.Sprint(code); refused.MatchString(text) != misconfigured {
			t.Errorf("errcode %s: the alert of logins fires: %v, want %v", text, !misconfigured, misconfigured)
		} else if code != 40013 && noNumbers.MatchString(text) != misconfigured { // 40013: another mini-program's phone code
			t.Errorf("errcode %s: the alert of phone numbers fires: %v, want %v", text, !misconfigured, misconfigured)
		}
	}
	if noNumbers.MatchString("40013") {
		t.Error("another mini-program's phone code fires the alert of phone numbers")
	}
}

// kindOf returns what the client makes of an errcode.
func kindOf(t *testing.T, code int) wechat.Kind {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"errcode":%d,"errmsg":"x"}`, code)
	}))
	defer server.Close()
	client, err := wechat.NewClient(wechat.Options{AppID: servertest.AppID, Secret: servertest.Secret, BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Code2Session(t.Context(), "code")
	if e, ok := errors.AsType[*wechat.Error](err); !ok || e.ErrCode != code {
		t.Fatalf("errcode %d: %v", code, err)
	}
	return wechat.KindOf(err)
}

// errcodesOf returns the errcodes that an alert is about.
func errcodesOf(t *testing.T, alert string) *regexp.Regexp {
	t.Helper()
	for _, a := range rulesIn(t, "alerts.yml") {
		if m := regexp.MustCompile(`errcode=~"([^"]*)"`).FindStringSubmatch(a.Expr); a.Alert == alert && m != nil {
			return regexp.MustCompile("^(?:" + m[1] + ")$")
		}
	}
	t.Fatalf("%s is about no errcodes", alert)
	return nil
}

func TestDashboard(t *testing.T) {
	d := theDashboard(t)
	if d.UID == "" || d.Title == "" {
		t.Errorf("uid %q, title %q", d.UID, d.Title)
	}
	uses := ""
	for i, p := range d.Panels {
		a := p.GridPos
		for _, other := range d.Panels[:i] {
			b := other.GridPos
			if other.ID == p.ID || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q covers %q, or has its id", p.Title, other.Title)
			}
		}
		if p.Title == "" || a.X+a.W > 24 {
			t.Errorf("panel %d %q is at %+v", p.ID, p.Title, a)
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%q has no description, unit or query, or another data source than the chosen one", p.Title)
		}
		for _, target := range p.Targets {
			uses += target.Expr + "\n"
			selectors := selector.FindAllString(target.Expr, -1)
			if len(selectors) != len(series.FindAllString(target.Expr, -1)) || slices.ContainsFunc(selectors, func(s string) bool { return !strings.Contains(s, `job="$job"`) }) {
				t.Errorf("%q reads series of all jobs: %s", p.Title, target.Expr)
			}
		}
	}
	if !strings.Contains(uses, `"$instance"`) {
		t.Error("no panel depends on the chosen instance")
	}
}

// Prometheus asks the server of docker-compose.yml, and Grafana that Prometheus, as often as it has a new figure.
func TestObservability_IsWiredAsInCompose(t *testing.T) {
	var prometheus, source, provider object
	decode(t, "prometheus/prometheus.yml", &prometheus)
	decode(t, "grafana/provisioning/datasources/prometheus.yml", &source)
	decode(t, "grafana/provisioning/dashboards/wxlogin.yml", &provider)
	for _, want := range []struct {
		file       object
		path, want string
	}{
		{prometheus, "scrape_configs", "[map[job_name:wxlogin static_configs:[map[targets:[wxlogin:9090]]]]]"},
		{prometheus, "rule_files", "[rules/*.yml]"},
		{source, "datasources.0.url", "http://prometheus:9090"},
		{source, "datasources.0.jsonData.timeInterval", prometheus.text("global.scrape_interval")},
		{provider, "providers.0.options.path", "/etc/grafana/dashboards"},
	} {
		if got := want.file.text(want.path); got != want.want {
			t.Errorf("%s is %s, want %s", want.path, got, want.want)
		}
	}
}
