package redisclient_test

import (
	"strings"
	"testing"
	"wxlogin/internal/redisclient"
)

// hidden is the password in every URL of these tests.
const hidden = "hidden-pass"

func TestCheckURL(t *testing.T) {
	tests := map[string]struct{ mode, url, want string }{ // want "": no error
		"single":                    {"", "redis://u:hidden-pass@redis:6379/3?read_timeout=3s", ""},
		"single_by_name":            {"single", "rediss://:hidden-pass@redis", ""},
		"single_by_socket":          {"single", "unix://u:hidden-pass@/run/redis.sock?db=2", ""},
		"single_scheme":             {"single", "http://u:hidden-pass@redis:6379", "not of the form"},
		"single_option":             {"single", "redis://redis?hidden-pass=1", "unknown options"},
		"single_with_two_addresses": {"single", "redis://:hidden-pass@redis?addr=other:6379", "not of the form"},
		"single_as_sentinel_has_it": {"single", "redis://:hidden-pass@redis?master_name=m", "not of the form"},
		"single_unescaped":          {"single", "redis://u:hidden-pass#@redis:6379", "not of the form"},
		"single_pool":               {"single", "redis://:hidden-pass@redis?pool_size=3000000000", "3000000000 is not a valid pool size"},

		"sentinel":              {"sentinel", "redis://u:x@s1:26379/2?master_name=m&addr=s2:26379&username=r&password=hidden-pass", ""},
		"sentinel_tls":          {"sentinel", "rediss://s1?master_name=m", ""},
		"sentinel_unnamed":      {"sentinel", "redis://:hidden-pass@s1:26379", "has no option master_name"},
		"sentinel_option":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&sentinels=3", "unknown options"},
		"sentinel_address":      {"sentinel", "redis://:hidden-pass@s1?master_name=m&addr=s2", "not of the form"},
		"sentinel_reads_stale":  {"sentinel", "redis://:hidden-pass@s1?master_name=m&replica_only=true", "from replicas"},
		"sentinel_routes":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_randomly=true", "from replicas"},
		"sentinel_by_latency":   {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_by_latency=true", "from replicas"},
		"sentinel_pool":         {"sentinel", "redis://s1?master_name=m&min_idle_conns=-7", "-7 is not a valid pool size"},
		"sentinel_by_socket":    {"sentinel", "unix:///run/redis.sock?master_name=m", "not of the form"},
		"sentinel_bad_database": {"sentinel", "redis://s1/two?master_name=m", "not of the form"},

		"cluster":             {"cluster", "redis://u:hidden-pass@n1:6379?addr=n2:6379&addr=n3:6379", ""},
		"cluster_database_0":  {"cluster", "redis://n1:6379/0", ""},
		"cluster_database":    {"cluster", "redis://:hidden-pass@n1:6379/1", "names a database"},
		"cluster_db":          {"cluster", "redis://:hidden-pass@n1:6379?db=1", "unknown options"},
		"cluster_reads_stale": {"cluster", "redis://:hidden-pass@n1?read_only=true", "from replicas"},
		"cluster_routes":      {"cluster", "redis://:hidden-pass@n1?route_by_latency=true", "from replicas"},
		"cluster_pool":        {"cluster", "redis://n1?pool_size=99999", "99999 is not a valid pool size"},
		"cluster_scheme":      {"cluster", "n1:6379", "not of the form"},

		"mode": {"Cluster", "redis://:hidden-pass@n1", `REDIS_MODE: "Cluster" is not single, sentinel or cluster`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := errText(redisclient.CheckURL(test.mode, test.url))
			if (text == "") != (test.want == "") || !strings.Contains(text, test.want) {
				t.Errorf("%q, want %q", text, test.want)
			}
			if strings.Contains(text, hidden) {
				t.Errorf("the error shows the password: %s", text)
			}
			client, err := redisclient.New(redisclient.Options{URL: test.url, Mode: test.mode})
			if (err == nil) != (test.want == "") {
				t.Errorf("New: %v", err)
			}
			if err == nil {
				client.Close()
			}
		})
	}
}
