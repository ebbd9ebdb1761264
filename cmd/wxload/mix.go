package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// action is one thing that a mini-program does.
type action int

const (
	returning  action = iota // login of somebody who was here before
	newcomer                 // login of somebody who was never here, and takes a place among those who come back
	update                   // a new profile
	unchanged                // the profile that the server has already; of somebody who has none: the first
	userInfo                 // reads the profile
	introspect               // what another service asks: whose token is this?
	logout                   // after which the token is checked to be of no use, and its user logs in again
	actions
)

var actionNames = [actions]string{"returning", "new", "update", "unchanged", "userinfo", "introspect", "logout"}

const (
	defaultMix = "returning=60,new=5,update=15,unchanged=5,userinfo=5,introspect=10,logout=0"
	maxWeight  = 1_000_000
)

// mix is how often each action is chosen, in relation to the others.
type mix [actions]int

// parseMix reads a list such as "returning=60,new=5". What is not named has the weight 0. The error names every fault.
func parseMix(text string) (mix, error) {
	var m mix
	var faults []error
	named := map[action]bool{}
	for entry := range strings.SplitSeq(text, ",") {
		a, weight, err := parseWeight(entry)
		switch {
		case err != nil:
			faults = append(faults, err)
		case named[a]:
			faults = append(faults, fmt.Errorf("%s is there twice", actionNames[a]))
		default:
			named[a], m[a] = true, weight
		}
	}
	if len(faults) == 0 && m.sum() == 0 {
		faults = append(faults, errors.New("all weights are 0"))
	}
	if len(faults) > 0 {
		return mix{}, errors.Join(faults...)
	}
	return m, nil
}

func parseWeight(entry string) (action, int, error) {
	name, text, _ := strings.Cut(strings.TrimSpace(entry), "=")
	for a, known := range actionNames {
		if name != known {
			continue
		}
		weight, err := strconv.Atoi(text)
		if err != nil || weight < 0 || weight > maxWeight {
			return 0, 0, fmt.Errorf("%s has no weight from 0 to %d", name, maxWeight)
		}
		return action(a), weight, nil
	}
	return 0, 0, fmt.Errorf("%q is not of the form name=weight with a name of %s", entry, strings.Join(actionNames[:], ", "))
}

func (m mix) sum() (sum int) {
	for _, weight := range m {
		sum += weight
	}
	return sum
}

// choose draws an action.
func (m mix) choose(rng *rand.Rand) action {
	n := rng.IntN(m.sum())
	for a, weight := range m {
		if n -= weight; n < 0 {
			return action(a)
		}
	}
	panic("wxload: the weights do not add up")
}

// String is the list that parseMix reads.
func (m mix) String() string {
	entries := make([]string, actions)
	for a, weight := range m {
		entries[a] = actionNames[a] + "=" + strconv.Itoa(weight)
	}
	return strings.Join(entries, ",")
}
