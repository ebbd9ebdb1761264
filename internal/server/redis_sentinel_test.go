package server

import (
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv/redistest"
)

// The master is killed. Nothing can be asked until the Sentinels have made its replica the master, and then everything is
// there, without a restart of anything; all as users with the documented rights.
func TestSentinel_failover(t *testing.T) {
	sentinels := redistest.RunSentinels(t)
	user, password, _ := strings.Cut(redistest.User, ":")
	c := Config{ // the Sentinels' user before the @, that of Redis itself as options
		RedisURL: strings.Replace(sentinels.URL(), "redis://", "redis://"+redistest.SentinelUser+"@", 1) +
			"&username=" + user + "&password=" + password,
		Redis: RedisConfig{Mode: redisSentinel},
	}
	tr := newTraffic(t, c)
	if err := redistest.WaitForReplica(t.Context(), sentinels.Master); err != nil {
		t.Fatal(err)
	}
	limits := newLimitTraffic(t, c)

	stop, stopLimits := tr.run(), limits.run()
	killed := time.Now()
	if err := sentinels.Master.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.waitForRefusal()
	if tr.store.Ready(t.Context()) == nil {
		t.Error("ready without a master")
	}
	tr.waitForAll()
	stop()
	stopLimits()

	tr.report(killed)
	tr.wantNewSessions()
	limits.wantBack(t)
	admin, err := openRedis(Config{RedisURL: sentinels.URL(), Redis: c.Redis})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	wantExpiries(t, admin)
	wantPools(t, c)
}

// Each of the two passwords is needed, and no error shows one.
func TestSentinel_wrong_passwords(t *testing.T) {
	sentinels := redistest.RunSentinels(t)
	right := "redis://" + redistest.SentinelUser + "@" + strings.TrimPrefix(sentinels.URL(), "redis://") +
		"&username=" + strings.Replace(redistest.User, ":", "&password=", 1)
	for name, test := range map[string]struct {
		url   string
		works bool
	}{
		"right":              {right, true},
		"wrong_of_Sentinels": {strings.Replace(right, "watch-only", "wrong-secret", 1), false},
		"wrong_of_Redis":     {strings.Replace(right, "only-what-is-needed", "wrong-secret", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := openRedis(Config{RedisURL: test.url, Redis: RedisConfig{Mode: redisSentinel}})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			err = newSessions(t, client).Ready(t.Context())
			if (err == nil) != test.works {
				t.Errorf("%v, want success %v", err, test.works)
			}
			if err != nil && strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("it shows a password: %v", err)
			}
		})
	}
}
