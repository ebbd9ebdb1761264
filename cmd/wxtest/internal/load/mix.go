package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"wxlogin/cmd/wxtest/internal/player"
)

const (
	defaultMix = "returning=60,new=5,update=15,unchanged=5,userinfo=5,introspect=10,logout=0"
	maxWeight  = 1_000_000
)

var actionNames = [player.Actions]string{"returning", "new", "update", "unchanged", "userinfo", "introspect", "logout"}

// mix is how often each action is drawn, relative to the others.
type mix [player.Actions]int

// parseMix reads a list such as "returning=60,new=5"; an empty one is the default. The error names all that is wrong.
func parseMix(text string, introspects bool) (mix, error) {
	if text == "" && !introspects {
		m, err := parseMix(defaultMix, true)
		m[player.Introspecting] = 0
		return m, err
	}
	if text == "" {
		text = defaultMix
	}
	var m mix
	var errs []error
	named := map[player.Action]bool{}
	for entry := range strings.SplitSeq(text, ",") {
		a, weight, err := parseWeight(entry)
		switch {
		case err != nil:
			errs = append(errs, err)
		case named[a]:
			errs = append(errs, fmt.Errorf("%s is there twice", actionNames[a]))
		case a == player.Introspecting && weight > 0 && !introspects:
			errs = append(errs, errors.New("introspect needs -internal"))
		default:
			named[a], m[a] = true, weight
		}
	}
	if len(errs) == 0 && m.sum() == 0 {
		errs = append(errs, errors.New("all weights are 0"))
	}
	if len(errs) > 0 {
		return mix{}, errors.Join(errs...)
	}
	return m, nil
}

func parseWeight(entry string) (player.Action, int, error) {
	name, text, _ := strings.Cut(strings.TrimSpace(entry), "=")
	for a, known := range actionNames {
		if name != known {
			continue
		}
		weight, err := strconv.Atoi(text)
		if err != nil || weight < 0 || weight > maxWeight {
			return 0, 0, fmt.Errorf("%s has no weight from 0 to %d", name, maxWeight)
		}
		return player.Action(a), weight, nil
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
func (m mix) choose(rng *rand.Rand) player.Action {
	n := rng.IntN(m.sum())
	for a, weight := range m {
		if n -= weight; n < 0 {
			return player.Action(a)
		}
	}
	panic("load: the weights do not add up")
}

// String returns the list that parseMix reads.
func (m mix) String() string {
	entries := make([]string, len(m))
	for a, weight := range m {
		entries[a] = actionNames[a] + "=" + strconv.Itoa(weight)
	}
	return strings.Join(entries, ",")
}
