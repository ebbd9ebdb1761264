// Package gateway_test runs the gateways and services of this folder as they stand, but for addresses, around the real
// server.
package gateway_test
