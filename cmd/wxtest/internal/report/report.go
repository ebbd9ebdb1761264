// Package report holds what the subcommands print: latencies, tables, claims and JSON.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"wxlogin/cmd/wxtest/internal/cli"
)

// longest is the highest latency that is told apart from higher ones.
const longest = 10 * time.Minute

// Histogram counts latencies in buckets that are a thousandth of their value wide, and at least a microsecond. Its size does
// not depend on how many it counts.
type Histogram struct {
	buckets *hdrhistogram.Histogram // microseconds
	max     time.Duration
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram {
	return &Histogram{buckets: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// Add counts a latency.
func (h *Histogram) Add(d time.Duration) {
	d = min(max(d, 0), longest)
	_ = h.buckets.RecordValue(d.Microseconds()) // fails only for values out of range
	h.max = max(h.max, d)
}

// Percentile returns what p percent do not exceed; 0 if nothing was counted.
func (h *Histogram) Percentile(p float64) time.Duration {
	d := time.Duration(h.buckets.ValueAtQuantile(p)) * time.Microsecond
	return min(d, h.max) // a bucket reaches beyond what is in it
}

// Millis returns a percentile in milliseconds.
func (h *Histogram) Millis(p float64) float64 { return Millis(h.Percentile(p)) }

// Max returns the highest latency.
func (h *Histogram) Max() time.Duration { return h.max }

// Reset empties the histogram.
func (h *Histogram) Reset() {
	h.buckets.Reset()
	h.max = 0
}

// Millis returns a duration in milliseconds, to the microsecond.
func Millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Seconds formats a duration in seconds.
func Seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// Table returns a table whose rows are written as cells that end with a tab.
func Table(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// Check is a claim, and what speaks against it.
type Check struct {
	Claim    string   `json:"claim"`
	Count    int      `json:"count"` // of what was looked at
	Failures []string `json:"failures"`
}

// Fail adds something that speaks against the claim.
func (c *Check) Fail(format string, args ...any) {
	c.Failures = append(c.Failures, fmt.Sprintf(format, args...))
}

// MaxExamples is how many failures of a claim are printed.
const MaxExamples = 5

// PrintChecks prints a line for each claim, and examples of its failures. It reports whether all claims hold. A claim for
// which nothing was looked at does not hold.
func PrintChecks(w io.Writer, checks []Check) bool {
	passed := true
	for _, c := range checks {
		if len(c.Failures) == 0 && c.Count > 0 {
			fmt.Fprintf(w, "ok: %s (%d)\n", c.Claim, c.Count)
			continue
		}
		passed = false
		fmt.Fprintf(w, "NOT ok: %s (%d of %d)\n", c.Claim, len(c.Failures), c.Count)
		for _, failure := range c.Failures[:min(len(c.Failures), MaxExamples)] {
			fmt.Fprintf(w, "    %s\n", failure)
		}
	}
	return passed
}

// Conclude prints the checks and the last line of a run. The error is cli.ErrFailed if a claim does not hold.
func Conclude(w io.Writer, checks []Check, started time.Time) error {
	word, err := "PASSED", error(nil)
	if !PrintChecks(w, checks) {
		word, err = "FAILED", cli.ErrFailed
	}
	fmt.Fprintf(w, "%s in %.0f s\n", word, time.Since(started).Seconds())
	return err
}

// WriteJSON writes indented JSON.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Create creates a file for JSON before a run, so that the run is not in vain; no name is no file, nil.
func Create(name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	return os.Create(name)
}

// WriteFile writes v to a file of Create, if there is one, and closes it.
func WriteFile(file *os.File, v any) error {
	if file == nil {
		return nil
	}
	return errors.Join(WriteJSON(file, v), file.Sync(), file.Close())
}
