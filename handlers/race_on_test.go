//go:build race

package handlers_test

// withRaceDetector says that the race detector is on. It makes comparing with docs/openapi.yaml ten times as slow, so that is
// left to the tests without it.
const withRaceDetector = true
