package deploy_test

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"
)

// panel is a panel of Grafana's dashboard, or a row.
type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct{ Unit string }
	}
	Targets []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
	Panels []panel // of a row that is folded
}

type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type string
			Definition string
		}
	}
}

func theDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/dashboards/wxlogin.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func dashboardQueries(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, p := range theDashboard(t).Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

func TestDashboard_panels_explain_themselves(t *testing.T) {
	d := theDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 39 {
		t.Errorf("uid %q, title %q, schemaVersion %d", d.UID, d.Title, d.SchemaVersion)
	}
	ids := make(map[int]bool)
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" || len(p.Panels) > 0 {
			t.Errorf("panel %d %q: its id or title is missing or there twice, or it is folded", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if !slices.Contains([]string{"timeseries", "stat", "table", "bargauge"}, p.Type) {
			t.Errorf("%q is a %s", p.Title, p.Type)
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%q has no description, unit or query", p.Title)
		}
		refs := make(map[string]bool)
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.Expr == "" {
				t.Errorf("%q: a query is empty, or its refId %q is there twice", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			if target.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				t.Errorf("%q reads another data source than the chosen one", p.Title)
			}
		}
	}
}

func TestDashboard_panels_do_not_overlap(t *testing.T) {
	panels := theDashboard(t).Panels
	for i, p := range panels {
		a := p.GridPos
		if a.W < 1 || a.H < 1 || a.X+a.W > 24 {
			t.Errorf("%q is at %+v", p.Title, a)
		}
		for _, other := range panels[:i] {
			b := other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q lies upon %q", p.Title, other.Title)
			}
		}
	}
}

// A choice that changes nothing misleads, as does a panel that mixes servers.
func TestDashboard_variables_are_used(t *testing.T) {
	d := theDashboard(t)
	uses := strings.Join(dashboardQueries(t), "\n")
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		uses += "\n" + v.Definition
	}
	if want := []string{"datasource", "job", "instance"}; !slices.Equal(names, want) {
		t.Errorf("variables %q, want %q", names, want)
	}
	for _, name := range names[1:] { // the first is every panel's data source
		if !strings.Contains(uses, `"$`+name+`"`) {
			t.Errorf("nothing depends on %s", name)
		}
	}
	for _, q := range dashboardQueries(t) {
		for _, s := range promSelector.FindAllString(q, -1) {
			if !strings.Contains(s, `job="$job"`) {
				t.Errorf("%s is of all jobs", s)
			}
		}
		if len(promSelector.FindAllString(q, -1)) != len(metricsIn(q)) {
			t.Errorf("%s reads a series without a job", q)
		}
	}
}

// Grafana finds Prometheus and the dashboard where docker-compose.yml puts them.
func TestGrafana_is_provisioned_as_compose_mounts_it(t *testing.T) {
	var sources struct {
		Datasources []struct {
			Type, URL string
			JSONData  struct {
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	decode(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	decode(t, "grafana/provisioning/dashboards/wxlogin.yml", &providers)
	if len(sources.Datasources) != 1 || len(providers.Providers) != 1 {
		t.Fatal("not one data source and one provider")
	}
	source, folder := sources.Datasources[0], providers.Providers[0].Options.Path
	if source.Type != "prometheus" || source.URL != "http://prometheus:9090" {
		t.Errorf("the data source is %s at %s", source.Type, source.URL)
	}
	if interval := prometheusConfig(t).Global.ScrapeInterval; source.JSONData.TimeInterval != interval {
		t.Errorf("Grafana believes in a figure each %s, there is one each %s", source.JSONData.TimeInterval, interval)
	}
	grafana := services(t)["grafana"]
	want := []string{"grafana:/var/lib/grafana", "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro",
		"./deploy/grafana/dashboards:" + folder + ":ro"}
	if got := section(grafana, "volumes"); !slices.Equal(got, want) {
		t.Errorf("volumes %q, want %q", got, want)
	}
	home := "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH=" + path.Join(folder, "wxlogin.json")
	if !slices.Contains(environ(grafana), home) {
		t.Error("the dashboard is not Grafana's home page")
	}
}
