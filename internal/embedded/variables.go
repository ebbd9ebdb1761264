package embedded

import (
	"sync"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/types"
)

const lockWait = "innodb_lock_wait_timeout"

// knowLockWait lets a session set how long it waits for locks, as in MySQL: the engine knows that variable as one of the
// whole server alone. It is of no effect, for nobody waits for a row: the gate lets in one transaction at a time.
var knowLockWait = sync.OnceFunc(func() {
	sql.SystemVariables.AddSystemVariables([]sql.SystemVariable{&sql.MysqlSystemVariable{
		Name:    lockWait,
		Scope:   sql.GetMysqlScope(sql.SystemVariableScope_Both),
		Dynamic: true,
		Type:    types.NewSystemIntType(lockWait, 1, 1<<30, false), // of 1 to 1,073,741,824 seconds
		Default: int64(50),
	}})
})
