package server

import (
	"context"
	"go/version"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"strings"
)

// patchedGo lists, for each release line of Go that this server can be built with, the first release without the known
// vulnerabilities of net/http and crypto/tls. Later lines have the fixes from their beginning.
var patchedGo = []string{"go1.26.10", "go1.27.4"}

// logStartWarnings logs what does not keep the server from starting, but weakens it.
func logStartWarnings(ctx context.Context, c Config, logger *slog.Logger) {
	if built := runtime.Version(); !isPatchedGo(built) {
		logger.WarnContext(ctx, "this server was built with a Go release that has known vulnerabilities in net/http; "+
			"build it with a patched one", "builtWith", built, "patchedSince", strings.Join(patchedGo, ", "))
	}
	if isPlainRemote(c.WeChatAPIBase) {
		logger.WarnContext(ctx, "WECHAT_API_BASE is a plain http URL of another machine: "+
			"AppSecrets and session_keys cross the network unencrypted")
	}
}

// isPatchedGo reports whether a release of Go, as runtime.Version returns it, has the fixes of patchedGo. Development
// versions count as newer than every release. A version that cannot be read counts as not patched.
func isPatchedGo(built string) bool {
	if strings.HasPrefix(built, "devel") {
		return true
	}
	release, _, _ := strings.Cut(built, " ") // "go1.26.8 X:boringcrypto"
	if !version.IsValid(release) {
		return false
	}
	line := version.Lang(release)
	i := slices.IndexFunc(patchedGo, func(first string) bool { return version.Lang(first) == line })
	if i < 0 {
		newest := patchedGo[len(patchedGo)-1]
		return version.Compare(line, version.Lang(newest)) > 0
	}
	return version.Compare(release, patchedGo[i]) >= 0
}

// isPlainRemote reports whether a URL leads to another machine without TLS.
func isPlainRemote(address string) bool {
	u, err := url.Parse(address)
	return err == nil && strings.EqualFold(u.Scheme, "http") && !isLoopback(u.Hostname())
}
