package main

import (
	"reflect"
	"slices"
	"testing"
)

func TestNewPlan_is_the_seeds(t *testing.T) {
	if !reflect.DeepEqual(newPlan(7, defaultRounds), newPlan(7, defaultRounds)) {
		t.Error("one seed has given two plans")
	}
	if reflect.DeepEqual(newPlan(7, defaultRounds), newPlan(8, defaultRounds)) {
		t.Error("two seeds have given one plan")
	}
}

func TestNewPlan_has_every_fault_in_every_round(t *testing.T) {
	plan := newPlan(1, defaultRounds)
	if len(plan) != defaultRounds*len(scenarios) {
		t.Fatalf("%d steps", len(plan))
	}
	for round := range slices.Chunk(plan, len(scenarios)) {
		for _, s := range scenarios {
			i := slices.IndexFunc(round, func(step step) bool { return step.name == s.name })
			if i < 0 {
				t.Errorf("%s is not in a round", s.name)
				continue
			}
			got := round[i]
			if got.length < s.length || got.length > s.length+pausedSpare || got.calm <= 0 || len(got.burst) != burstLength {
				t.Errorf("%s: %v after %v, %d faults of WeChat's", got.name, got.length, got.calm, len(got.burst))
			}
		}
	}
}

func TestScenarios_have_what_the_checks_need(t *testing.T) {
	for _, s := range scenarios {
		if s.bound <= 0 || s.length <= 0 || s.fault == nil || !reflect.DeepEqual(scenarioOf(s.name).name, s.name) {
			t.Errorf("%q is not whole", s.name)
		}
	}
}
