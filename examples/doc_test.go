// Package examples_test runs the example mini-program's own tests, with Node, against the demo in a process of its own.
package examples_test
