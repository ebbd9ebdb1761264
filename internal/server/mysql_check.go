package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"wxlogin/store"
)

// serverRights are the rights on its database that the server needs. wxlogin migrate needs those of migrateRights too.
const (
	serverRights  = "SELECT, INSERT, UPDATE"
	migrateRights = "CREATE, ALTER, INDEX, CREATE VIEW, DROP"
)

// databaseFault returns a configError of MYSQL_DSN if err comes of what the variable says, and err itself otherwise.
func databaseFault(db *store.DB, err error) error {
	name := "`" + strings.ReplaceAll(db.Database(), "`", "``") + "`"
	help := ""
	switch {
	case errors.Is(err, store.ErrAccessDenied):
		help = fmt.Sprintf("; the account is %q", db.Account())
	case errors.Is(err, store.ErrSetting), errors.Is(err, store.ErrCharset):
	case errors.Is(err, store.ErrTLS):
		help = "; see the parameter tls of the DSN, and MYSQL_TLS_CA_FILE if the server has a certificate of a private CA"
	case errors.Is(err, store.ErrUnknownDatabase):
		help = "; make it, and run wxlogin migrate: CREATE DATABASE " + name + " CHARACTER SET utf8mb4"
	case errors.Is(err, store.ErrNoRights):
		help = fmt.Sprintf("; if the database is there, as an account that may grant: GRANT %s ON %s.* TO the account %q "+
			"(wxlogin migrate: %s too)", serverRights, name, db.Account(), migrateRights)
	default:
		return err
	}
	return configError{"MYSQL_DSN", strings.TrimPrefix(err.Error(), "store: ") + help}
}

// checkPrimary looks at the database once. It returns what only another configuration mends. What passes, or what an operator
// mends in the database, is no error: logOutages and /readyz say so until it is well.
func checkPrimary(ctx context.Context, db *store.DB) error {
	ctx, cancel := context.WithTimeout(ctx, startCheckTimeout)
	defer cancel()
	err := db.CheckCharset(ctx)
	if err == nil {
		err = db.Ready(ctx)
	}
	if err = databaseFault(db, err); errors.Is(err, ErrMisconfigured) {
		return err
	}
	return nil
}

// checkReplicas logs which read replicas cannot be used. That is no reason not to serve: the primary is asked instead.
func checkReplicas(ctx context.Context, db *store.DB, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, startCheckTimeout)
	defer cancel()
	for i, err := range db.CheckReplicas(ctx) {
		if err != nil && !errors.Is(err, context.Canceled) {
			logger.WarnContext(ctx, "a replica of MYSQL_REPLICA_DSNS cannot be used now, the primary is asked instead",
				"replica", i+1, "cause", err)
		}
	}
}
