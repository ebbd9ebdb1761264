// Package cli reads the flags of wxtest's subcommands and turns their errors into exit codes.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

var (
	ErrUsage   = errors.New("invalid command line")
	ErrFailed  = errors.New("failed") // the output says how
	ErrMissing = errors.New("not installed")
)

// Code returns the exit code of an error: 0 for nil and help, 2 for a wrong command line or a missing program, otherwise 1.
// It prints an error that was not printed before.
func Code(err error, stderr io.Writer) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, ErrUsage):
		return 2
	}
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "wxtest: interrupted")
	case err != ErrFailed:
		fmt.Fprintln(stderr, "wxtest:", err)
	}
	if errors.Is(err, ErrMissing) {
		return 2
	}
	return 1
}

// Flags are the flags of a subcommand. All that is wrong with them is reported at once.
type Flags struct {
	*flag.FlagSet
	errs []error
}

// New returns the flags of a subcommand.
func New(name string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(io.Discard)
	return f
}

// Reject adds what is wrong with a flag.
func (f *Flags) Reject(name, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("-%s %s", name, fmt.Sprintf(format, args...)))
}

// Value declares a number or a duration that must be between low and high.
func Value[T int | float64 | time.Duration](f *Flags, into *T, name string, low, high T, usage string) {
	f.Func(name, fmt.Sprintf("%s (default %v)", usage, *into), func(text string) (err error) {
		switch into := any(into).(type) {
		case *time.Duration:
			*into, err = time.ParseDuration(text)
		default:
			_, err = fmt.Sscanf(text+"\n", "%v\n", into)
		}
		if err != nil || !(*into >= low && *into <= high) { // NaN is out of range
			f.Reject(name, "must be from %v to %v", low, high)
		}
		return nil
	})
}

// URLs declares a list of base URLs, separated by commas or given by several flags.
func (f *Flags) URLs(into *[]string, name, usage string) {
	f.Func(name, usage, func(list string) error {
		for one := range strings.SplitSeq(list, ",") {
			one = strings.TrimRight(strings.TrimSpace(one), "/")
			u, err := url.Parse(one)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
				f.Reject(name, "must be a list of http or https URLs without query and password")
				continue
			}
			*into = append(*into, one)
		}
		return nil
	})
}

// Parse reads the command line. complete checks what depends on several flags. The error is flag.ErrHelp after -help, and
// otherwise ErrUsage; what there is to say has been printed.
func (f *Flags) Parse(args []string, complete func(), stdout, stderr io.Writer) error {
	err := f.FlagSet.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "Usage: wxtest %s [flags]\n\n", f.Name())
		f.SetOutput(stdout)
		f.PrintDefaults()
		return flag.ErrHelp
	case err != nil:
		f.errs = append(f.errs, err)
	case f.NArg() > 0:
		f.errs = append(f.errs, fmt.Errorf("unexpected arguments: %s", strings.Join(f.Args(), " ")))
	default:
		complete()
	}
	if len(f.errs) == 0 {
		return nil
	}
	for _, err := range f.errs {
		fmt.Fprintf(stderr, "wxtest %s: %v\n", f.Name(), err)
	}
	fmt.Fprintf(stderr, "Run \"wxtest %s -help\" for the flags.\n", f.Name())
	return ErrUsage
}
