package redisclient_test

import (
	"strings"
	"testing"
	"time"

	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv/redistest"
)

// The master is killed. No session is available until the Sentinels promote its replica, and then all are, without a
// restart. The users have the documented rights.
func TestSentinel_Failover(t *testing.T) {
	sentinels := redistest.RunSentinels(t)
	user, password, _ := strings.Cut(redistest.User, ":")
	o := redisclient.Options{ // the Sentinels' user is before the @, that of Redis in the options
		Mode: redisclient.Sentinel,
		URL: strings.Replace(sentinels.URL(), "redis://", "redis://"+redistest.SentinelUser+"@", 1) +
			"&username=" + user + "&password=" + password,
	}
	tr := newTraffic(t, o)
	if err := redistest.WaitForReplica(t.Context(), sentinels.Master); err != nil {
		t.Fatal(err)
	}
	limits := newLimitTraffic(t, o)

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
	admin, err := redisclient.New(redisclient.Options{URL: sentinels.URL(), Mode: o.Mode})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	wantExpiries(t, admin)
	wantPools(t, o)
}

// Both passwords are required, and no error contains one.
func TestSentinel_Passwords(t *testing.T) {
	sentinels := redistest.RunSentinels(t)
	right := "redis://" + redistest.SentinelUser + "@" + strings.TrimPrefix(sentinels.URL(), "redis://") +
		"&username=" + strings.Replace(redistest.User, ":", "&password=", 1)
	for name, test := range map[string]struct {
		url   string
		works bool
	}{
		"right":                   {right, true},
		"wrong for the Sentinels": {strings.Replace(right, "watch-only", "wrong-secret", 1), false},
		"wrong for Redis":         {strings.Replace(right, "only-what-is-needed", "wrong-secret", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := redisclient.New(redisclient.Options{URL: test.url, Mode: redisclient.Sentinel})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			err = newSessions(t, client).Ready(t.Context())
			if (err == nil) != test.works {
				t.Errorf("%v, want success %v", err, test.works)
			}
			if err != nil && strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}
