// Package config reads the server's configuration from environment variables and checks it:
//
//	c, err := config.Load(os.Environ())
//	if err != nil {
//		return err // every error at once, a line each, without a secret
//	}
//	logger := c.Log.NewLogger(os.Stderr)
//
// Values have exactly one source: the variable NAME, or for a secret also the file that NAME_FILE names. [Load] checks
// their form and reads the files of TLS with MySQL and Redis, but connects to nothing.
//
// [UnknownVariables] finds misspelt variables, which are no error.
package config
