package deploy_test

import (
	"regexp"
	"slices"
	"strings"
)

// This file takes PromQL apart as far as the tests need it: which series an expression reads, and by which labels.

var (
	promString   = regexp.MustCompile(`"[^"]*"`)
	promMatchers = regexp.MustCompile(`\{[^}]*\}`)
	promRange    = regexp.MustCompile(`\[[^\]]*\]`)
	promLabels   = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	promCall     = regexp.MustCompile(`\b\w+\s*\(`)
	promNumber   = regexp.MustCompile(`\b\d[\w.]*`)
	promName     = regexp.MustCompile(`[A-Za-z_:][\w:]*`)
	promSelector = regexp.MustCompile(`([A-Za-z_:][\w:]*)\{([^}]*)\}`)
	promMatcher  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
)

var promKeywords = []string{"and", "or", "unless", "offset", "group_left", "group_right", "bool"}

// metricsIn are the names of the series that an expression reads.
func metricsIn(expr string) []string {
	for _, noise := range []*regexp.Regexp{promString, promMatchers, promRange, promLabels, promCall, promNumber} {
		expr = noise.ReplaceAllString(expr, " ")
	}
	return slices.DeleteFunc(promName.FindAllString(expr, -1), func(name string) bool {
		return slices.Contains(promKeywords, name)
	})
}

// matcher is one condition of a selector.
type matcher struct{ metric, label, operator, value string }

// matchersIn are the conditions under which an expression reads series.
func matchersIn(expr string) []matcher {
	var all []matcher
	for _, s := range promSelector.FindAllStringSubmatch(expr, -1) {
		for _, m := range promMatcher.FindAllStringSubmatch(s[2], -1) {
			all = append(all, matcher{s[1], m[1], m[2], m[3]})
		}
	}
	return all
}

// groupingsIn are the labels of each "by" of an expression, joined as the level of a recorded name is.
func groupingsIn(expr string) []string {
	var all []string
	for _, m := range promLabels.FindAllStringSubmatch(expr, -1) {
		if m[1] == "by" {
			all = append(all, strings.ReplaceAll(strings.ReplaceAll(m[2], " ", ""), ",", "_"))
		}
	}
	return all
}
