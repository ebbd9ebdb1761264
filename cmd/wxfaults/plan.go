package main

import (
	"math/rand/v2"
	"time"
)

// scenario is one fault and what is to be seen of it.
type scenario struct {
	name    string
	length  time.Duration // how long the fault lasts, more or less
	bound   time.Duration // the slowest answer while it lasts
	empties bool          // whether Redis has lost all sessions after it
	orderly bool          // whether a server is asked to stop, and no request may be cut
	fault   func() fault
}

// Bounds of the slowest answer: storage has 2 s, WeChat 6 s, and a server that is paused cannot answer before it goes on.
const (
	storageBound = 2 * time.Second
	wechatBound  = 6 * time.Second
	pausedBound  = 3*time.Second + pausedSpare + storageBound
	pausedSpare  = 300 * time.Millisecond // by which a pause may be longer than planned
)

// recoveryBound is the time from the part's return to the last answer that was still due to the fault.
const recoveryBound = 2 * time.Second

var scenarios = []scenario{
	{name: "redis paused", length: 4 * time.Second, bound: storageBound, fault: pausing(redisPart)},
	{name: "redis killed, back empty", length: time.Second, bound: storageBound, empties: true, fault: killing(redisPart)},
	{name: "mysql paused", length: 4 * time.Second, bound: storageBound, fault: pausing(mysqlPart)},
	{name: "mysql killed", length: time.Second, bound: storageBound, fault: killing(mysqlPart)},
	{name: "mysql without connections", length: 4 * time.Second, bound: storageBound, fault: filling},
	{name: "wechat paused", length: 7 * time.Second, bound: wechatBound, fault: pausing(wechatPart)},
	{name: "wechat killed", length: 2 * time.Second, bound: wechatBound, fault: killing(wechatPart)},
	{name: "wechat unreliable", length: 4 * time.Second, bound: wechatBound, fault: misbehaving},
	{name: "server A killed", length: time.Second, bound: storageBound, fault: killing(serverPart("A"))},
	{name: "server B paused", length: 3 * time.Second, bound: pausedBound, fault: pausing(serverPart("B"))},
	{name: "server A stopped in order", length: time.Second, bound: wechatBound, orderly: true, fault: stopping("A")},
}

// step is a scenario with what the seed decides of it.
type step struct {
	name   string
	calm   time.Duration // before the fault
	length time.Duration
	burst  []string // faults of WeChat's, in their order
}

const burstLength = 60

var wechatFaults = []string{"dropped", "droppedafter", "busy", "badgateway", "brokenjson", "slow:300ms"}

// defaultRounds is how often each fault is committed, each time after other ones.
const defaultRounds = 2

// newPlan puts all scenarios in the order of a seed, round by round. The same seed gives the same plan, or its beginning.
func newPlan(seed uint64, rounds int) (plan []step) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		for _, i := range rng.Perm(len(scenarios)) {
			plan = append(plan, newStep(rng, scenarios[i]))
		}
	}
	return plan
}

func newStep(rng *rand.Rand, of scenario) step {
	s := step{
		name:   of.name,
		calm:   time.Second + time.Duration(rng.Int64N(int64(time.Second))),
		length: of.length + time.Duration(rng.Int64N(int64(pausedSpare))),
	}
	for range burstLength {
		s.burst = append(s.burst, wechatFaults[rng.IntN(len(wechatFaults))])
	}
	return s
}

// scenarioOf is the scenario of a step.
func scenarioOf(name string) scenario {
	for _, s := range scenarios {
		if s.name == name {
			return s
		}
	}
	return scenario{name: name}
}
