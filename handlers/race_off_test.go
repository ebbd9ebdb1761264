//go:build !race

package handlers_test

const withRaceDetector = false
