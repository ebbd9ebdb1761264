//go:build ignore

// Reads docker-compose.yml with the library that docker compose reads it with, once for each set of profiles:
//
//	go run compose.go ../docker-compose.yml '' observability admin observability,admin
//
// It fails if the file breaks the Compose Specification, or if a service needs one that is off with these profiles. It is run in
// a module of its own, so that the library is no dependency of the project.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	for _, profiles := range os.Args[2:] {
		names, err := load(os.Args[1], strings.FieldsFunc(profiles, func(r rune) bool { return r == ',' }))
		if err != nil {
			fmt.Fprintf(os.Stderr, "with the profiles %q: %v\n", profiles, err)
			os.Exit(1)
		}
		fmt.Printf("with the profiles %q: %s\n", profiles, strings.Join(names, ", "))
	}
}

// load returns the names of the services that are on.
func load(file string, profiles []string) ([]string, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithProfiles(profiles))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.ServiceNames(), nil
}
