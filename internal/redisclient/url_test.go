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
		"single by name":            {"single", "rediss://:hidden-pass@redis", ""},
		"single by socket":          {"single", "unix://u:hidden-pass@/run/redis.sock?db=2", ""},
		"single scheme":             {"single", "http://u:hidden-pass@redis:6379", "not of the form"},
		"single option":             {"single", "redis://redis?hidden-pass=1", "unknown options"},
		"single with two addresses": {"single", "redis://:hidden-pass@redis?addr=other:6379", "not of the form"},
		"single as sentinel has it": {"single", "redis://:hidden-pass@redis?master_name=m", "not of the form"},
		"single unescaped":          {"single", "redis://u:hidden-pass#@redis:6379", "not of the form"},
		"single pool":               {"single", "redis://:hidden-pass@redis?pool_size=3000000000", "3000000000 is not a valid pool size"},

		"sentinel":              {"sentinel", "redis://u:x@s1:26379/2?master_name=m&addr=s2:26379&username=r&password=hidden-pass", ""},
		"sentinel tls":          {"sentinel", "rediss://s1?master_name=m", ""},
		"sentinel unnamed":      {"sentinel", "redis://:hidden-pass@s1:26379", "has no option master_name"},
		"sentinel option":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&sentinels=3", "unknown options"},
		"sentinel address":      {"sentinel", "redis://:hidden-pass@s1?master_name=m&addr=s2", "not of the form"},
		"sentinel reads stale":  {"sentinel", "redis://:hidden-pass@s1?master_name=m&replica_only=true", "from replicas"},
		"sentinel routes":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_randomly=true", "from replicas"},
		"sentinel by latency":   {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_by_latency=true", "from replicas"},
		"sentinel pool":         {"sentinel", "redis://s1?master_name=m&min_idle_conns=-7", "-7 is not a valid pool size"},
		"sentinel by socket":    {"sentinel", "unix:///run/redis.sock?master_name=m", "not of the form"},
		"sentinel bad database": {"sentinel", "redis://s1/two?master_name=m", "not of the form"},

		"cluster":             {"cluster", "redis://u:hidden-pass@n1:6379?addr=n2:6379&addr=n3:6379", ""},
		"cluster database 0":  {"cluster", "redis://n1:6379/0", ""},
		"cluster database":    {"cluster", "redis://:hidden-pass@n1:6379/1", "names a database"},
		"cluster db":          {"cluster", "redis://:hidden-pass@n1:6379?db=1", "unknown options"},
		"cluster reads stale": {"cluster", "redis://:hidden-pass@n1?read_only=true", "from replicas"},
		"cluster routes":      {"cluster", "redis://:hidden-pass@n1?route_by_latency=true", "from replicas"},
		"cluster pool":        {"cluster", "redis://n1?pool_size=99999", "99999 is not a valid pool size"},
		"cluster scheme":      {"cluster", "n1:6379", "not of the form"},

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
