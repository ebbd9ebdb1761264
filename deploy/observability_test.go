package deploy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

// exposed are the labels of each series that a server gives, after one request of each kind that a series is about.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	server := servertest.Start(t, func(c *config.Config) {
		c.MySQL = config.MySQL{MaxOpenConns: 5, ConnMaxLifetime: time.Hour}
		c.Limits = config.Limits{LoginsInFlight: 5, Updates: 1}
		c.TLS = ownCertificate(t)
		c.Avatars = config.Avatars{Dir: t.TempDir(), PublicURL: "https://login.example.com"}
	})
	public, internal := "https://"+server.PublicAddr(), server.Internal()

	phone := server.Simulator.Device(servertest.AppID, wechattest.User{Name: "alice"})
	var login struct{ Token string }
	if err := json.Unmarshal(post(t, public+"/onLogin", url.Values{"code": {phone.Login()}}, 200), &login); err != nil {
		t.Fatal(err)
	}
	data := phone.GetUserInfo()
	update := url.Values{"token": {login.Token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}}
	post(t, public+"/updateUserInfo", update, 200)
	post(t, public+"/updateUserInfo", update, 429)
	post(t, internal+"/introspect", url.Values{"token": {login.Token}}, 200)
	return seriesIn(string(get(t, internal+"/metrics")))
}

// seriesIn reads Prometheus's text format: the names of series, with their labels' names.
func seriesIn(text string) map[string][]string {
	label := regexp.MustCompile(`(\w+)="`)
	series := make(map[string][]string)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		series[name] = []string{}
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			series[name] = append(series[name], m[1])
		}
	}
	return series
}

func post(t *testing.T, address string, form url.Values, want int) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Api-Key", servertest.APIKey)
	return answerOf(t, r, want)
}

func get(t *testing.T, address string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(t, r, http.StatusOK)
}

func answerOf(t *testing.T, r *http.Request, want int) []byte {
	t.Helper()
	// The certificate is of this test alone.
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want {
		t.Fatalf("%s: status %d, want %d, %v", r.URL.Path, answer.StatusCode, want, err)
	}
	return body
}

// ownCertificate writes a certificate that signs itself.
func ownCertificate(t *testing.T) config.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := config.TLS{CertFile: filepath.Join(t.TempDir(), "cert.pem"), KeyFile: filepath.Join(t.TempDir(), "key.pem")}
	writeFile(t, files.CertFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	writeFile(t, files.KeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return files
}

// expressions are all that is asked of Prometheus, by who asks.
func expressions(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"the dashboard": dashboardQueries(t)}
	for _, r := range slices.Concat(recordings(t), alerts(t)) {
		all[r.Record+r.Alert] = []string{r.Expr}
	}
	for _, v := range theDashboard(t).Templating.List {
		if name, _, ok := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ","); ok && !strings.Contains(name, "{") {
			all["the variable "+v.Name] = []string{name}
		}
	}
	return all
}

// A misspelt name or label makes an alert that never fires, and a panel that is empty, in silence.
func TestObservability_asks_only_for_what_the_server_shows(t *testing.T) {
	known := exposed(t)
	known["up"] = nil // Prometheus's own
	known["ALERTS"] = []string{"alertname", "alertstate"}
	for _, r := range recordings(t) {
		level, _, _ := strings.Cut(r.Record, ":")
		known[r.Record] = strings.Split(strings.ReplaceAll(level, "db_name", "db-name"), "_")
		for i, label := range known[r.Record] {
			known[r.Record][i] = strings.ReplaceAll(label, "-", "_")
		}
	}
	for who, exprs := range expressions(t) {
		for _, expr := range exprs {
			for _, metric := range metricsIn(expr) {
				if _, ok := known[metric]; !ok {
					t.Errorf("%s reads %s, which nobody gives", who, metric)
				}
			}
			for _, m := range matchersIn(expr) {
				if m.label != "job" && m.label != "instance" && !slices.Contains(known[m.metric], m.label) {
					t.Errorf("%s reads %s by its label %s, which it has not", who, m.metric, m.label)
				}
			}
		}
	}
}

// The series that the tests of rules make up are the server's, too.
func TestObservability_tests_rules_with_what_the_server_shows(t *testing.T) {
	known := exposed(t)
	files, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`- series: '([\w:]+)\{`).FindAllStringSubmatch(read(t, file), -1) {
			if _, ok := known[m[1]]; !ok && m[1] != "up" {
				t.Errorf("%s makes up %s", file, m[1])
			}
		}
	}
}

// Outcomes, bounds, states and routes are words of the server's code.
func TestObservability_asks_only_for_values_that_the_server_gives(t *testing.T) {
	files, err := filepath.Glob("../handlers/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range append(files, "../internal/redisclient/metrics.go", "../wechat/code2session.go") {
		if !strings.HasSuffix(file, "_test.go") {
			code.WriteString(read(t, file))
		}
	}
	word := regexp.MustCompile(`^[\w/-]+$`)
	checked := 0
	for who, exprs := range expressions(t) {
		for _, m := range matchersIn(strings.Join(exprs, "\n")) {
			if !slices.Contains([]string{"outcome", "bound", "state", "route", "api"}, m.label) {
				continue
			}
			for value := range strings.SplitSeq(m.value, "|") {
				if word.MatchString(value) && !strings.Contains(code.String(), `"`+value+`"`) {
					t.Errorf("%s asks for %s=%q", who, m.label, value)
				}
				checked++
			}
		}
	}
	if checked < 20 {
		t.Errorf("%d values were checked", checked)
	}
}

// scrapeConfig is prometheus.yml.
type scrapeConfig struct {
	Global struct {
		ScrapeInterval string `yaml:"scrape_interval"`
	}
	RuleFiles []string `yaml:"rule_files"`
	Jobs      []struct {
		Name    string                       `yaml:"job_name"`
		Targets []struct{ Targets []string } `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
}

func prometheusConfig(t *testing.T) scrapeConfig {
	t.Helper()
	var c scrapeConfig
	decode(t, "prometheus/prometheus.yml", &c)
	return c
}

func TestPrometheus_scrapes_what_compose_runs(t *testing.T) {
	c := prometheusConfig(t)
	if len(c.Jobs) != 1 || c.Jobs[0].Name != "wxlogin" || len(c.Jobs[0].Targets) != 1 {
		t.Fatalf("jobs %+v", c.Jobs)
	}
	server, err := config.Load(environ(services(t)["wxlogin"]))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(server.InternalAddr)
	if got := c.Jobs[0].Targets[0].Targets; !slices.Equal(got, []string{"wxlogin:" + port}) {
		t.Errorf("targets %q", got)
	}
	if !slices.Equal(c.RuleFiles, []string{"rules/*.yml"}) {
		t.Errorf("rules are read from %q", c.RuleFiles)
	}
	want := []string{"prometheus:/prometheus", "./deploy/prometheus:/etc/prometheus:ro"}
	if got := section(services(t)["prometheus"], "volumes"); !slices.Equal(got, want) {
		t.Errorf("volumes %q, want %q", got, want)
	}
	for who, exprs := range expressions(t) {
		for _, m := range matchersIn(strings.Join(exprs, "\n")) {
			if m.label == "job" && m.value != "$job" && m.value != "wxlogin" {
				t.Errorf("%s asks for the job %q", who, m.value)
			}
		}
	}
}
