package mysqltest

import (
	"strings"
	"testing"
)

func TestServerOf(t *testing.T) {
	t.Run("the_database_is_left_out_and_the_rest_kept", func(t *testing.T) {
		config, err := serverConfig("root@tcp(127.0.0.1:3306)/theirs?maxAllowedPacket=4096")
		if err != nil || config.DBName != "" || config.Addr != "127.0.0.1:3306" || config.MaxAllowedPacket != 4096 {
			t.Errorf("%v", err)
		}
	})

	t.Run("an_unreadable_dsn_is_not_shown", func(t *testing.T) {
		_, err := serverConfig("root:hidden@127.0.0.1:3306")
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Error("no error, or one that shows the password")
		}
	})
}
