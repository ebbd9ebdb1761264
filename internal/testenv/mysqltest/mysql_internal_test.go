package mysqltest

import (
	"strings"
	"testing"
)

func TestServerConfig(t *testing.T) {
	t.Run("drops the database and keeps the rest", func(t *testing.T) {
		config, err := serverConfig("root@tcp(127.0.0.1:3306)/theirs?maxAllowedPacket=4096")
		if err != nil || config.DBName != "" || config.Addr != "127.0.0.1:3306" || config.MaxAllowedPacket != 4096 {
			t.Errorf("%v", err)
		}
	})

	t.Run("hides an unreadable DSN", func(t *testing.T) {
		_, err := serverConfig("root:hidden@127.0.0.1:3306")
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Error("no error, or an error that contains the password")
		}
	})
}
