package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
)

// version is set by the linker (-X main.version=v1.2.3) where a build has a version of its own.
var version string

func printVersion(_ context.Context, _ []string, stdout, _ io.Writer) int {
	fmt.Fprintln(stdout, "wxlogin", versionText())
	return exitOK
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if version != "" || !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
