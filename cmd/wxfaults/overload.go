package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

const (
	overloadFactor = 3  // times the sustainable rate
	unloadedRate   = 20 // logins a second
	unloadedTime   = 10 * time.Second
	sustainedTime  = 6 * time.Second
	updateRate     = 10 // a second
	setupLimit     = 4 * time.Minute
)

// measurement is all that an overload run measures.
type measurement struct {
	unloaded  outcomes
	sustained outcomes // as many workers as the server takes logins at a time, each one login after the other
	overload  outcomes
	updates   outcomes
	generator generator
	memory    []int // resident KiB of the server, in the order of time
}

// overload measures how one server refuses logins that it has no room for.
func overload(ctx context.Context, o options, stdout io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, o.duration+setupLimit)
	defer cancel()
	started, say := time.Now(), teller(stdout, o.verbose)
	s, err := startSystem(ctx, o.keep, o.latency, map[string][]string{
		"A": {"MAX_LOGINS_IN_FLIGHT=" + strconv.Itoa(o.logins), "LOG_LEVEL=info"},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	say("everything is up")

	m, err := measure(ctx, s, o, say)
	if err != nil {
		return err
	}
	printMeasurement(stdout, m)
	return conclude(stdout, printVerdicts(stdout, m.verdicts()), started)
}

func measure(ctx context.Context, s *system, o options, say func(string, ...any)) (m measurement, err error) {
	g := newGun(s)
	if err := g.warmUp(ctx); err != nil {
		return m, err
	}
	say("unloaded: %d logins a second", unloadedRate)
	if m.unloaded, _, err = g.openLoop(ctx, unloadedRate, unloadedTime); err != nil {
		return m, err
	}
	say("sustained: %d logins at a time", o.logins)
	if m.sustained, err = g.closedLoop(ctx, o.logins, sustainedTime); err != nil {
		return m, err
	}
	rate := overloadFactor * m.sustained.rate(200)
	if rate < 1 {
		return m, errors.New("no login succeeded: there is no rate to multiply")
	}
	updates, err := g.prepareUpdates(ctx, int(updateRate*o.duration.Seconds()))
	if err != nil {
		return m, err
	}
	say("overload: %.0f logins a second", rate)
	measuring, stop := context.WithCancel(ctx)
	defer stop()
	updated := make(chan outcomes, 1)
	memory := make(chan []int, 1)
	begin := func() {
		go func() { updated <- g.sendUpdates(measuring, updates) }()
		go func() { memory <- sampleMemory(measuring, s.servers["A"].pid(), o.duration) }()
	}
	if m.overload, m.generator, err = g.openLoopAfter(ctx, rate, o.duration, begin); err != nil {
		return m, err
	}
	m.updates, m.memory = <-updated, <-memory
	return m, ctx.Err()
}

// verdicts are the claims about a measurement.
func (m measurement) verdicts() []verdict {
	return []verdict{m.checkGenerator(), m.checkAccepted(), m.checkRefusals(), m.checkUpdates(), m.checkMemory()}
}

// checkGenerator: without the load that is spoken of, there is nothing to claim.
func (m measurement) checkGenerator() verdict {
	v := verdict{claim: "the generator held its rate", count: m.generator.sent}
	if held := m.generator.held(); held < 0.97 {
		v.fault("it sent %.1f%% of the logins at their time: nothing below is to be believed", 100*held)
	}
	return v
}

func (m measurement) checkAccepted() verdict {
	accepted, limit := m.overload.of(200), 3*m.unloaded.of(200).percentile(99)+250*time.Millisecond
	v := verdict{claim: "p99 of accepted logins <= 3 x unloaded p99 + 250 ms = " + milliseconds(limit), count: len(accepted)}
	if p99 := accepted.percentile(99); p99 > limit {
		v.fault("it is %s", milliseconds(p99))
	}
	return v
}

func (m measurement) checkRefusals() verdict {
	v := verdict{claim: "every refusal is a 503 wechat_unavailable with Retry-After"}
	v.count = m.overload.count() - len(m.overload.of(200))
	for _, status := range sortedKeys(m.overload.byStatus) {
		if status != 200 && status != 503 {
			v.fault("%d answers %s", len(m.overload.of(status)), statusName(status))
		}
	}
	if m.overload.improper > 0 {
		v.fault("%d answers 503 are not like that", m.overload.improper)
	}
	return v
}

func (m measurement) checkUpdates() verdict {
	v := verdict{claim: "no update failed", count: m.updates.count()}
	if failed := m.updates.count() - len(m.updates.of(200)); failed > 0 {
		v.fault("%d failed", failed)
	}
	return v
}

// checkMemory compares the last third with the one before it: while connections and buffers are made, memory may grow.
func (m measurement) checkMemory() verdict {
	v := verdict{claim: "RSS levels off", count: len(m.memory)}
	third := len(m.memory) / 3
	if third == 0 {
		v.fault("too few samples")
		return v
	}
	middle, last := maximum(m.memory[third:2*third]), maximum(m.memory[2*third:])
	if float64(last) > 1.1*float64(middle) {
		v.fault("it went from %d to %d KiB in the last third", middle, last)
	}
	return v
}

func maximum(values []int) (largest int) {
	for _, v := range values {
		largest = max(largest, v)
	}
	return largest
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.0f ms", 1000*d.Seconds()) }

func statusName(status int) string {
	if status == 0 {
		return "none"
	}
	return strconv.Itoa(status)
}
