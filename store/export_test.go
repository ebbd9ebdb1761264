package store

import (
	"database/sql/driver"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

// OpenVia is Open with something between the pool and the driver.
func OpenVia(dsn string, o Options, via func(driver.Connector) driver.Connector) (*DB, error) {
	o = o.withDefaults()
	config, err := parseDSN(dsn, o.Logger)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return open(config, via(connector), o)
}

// Interpolated is the same DB without prepared statements, for comparison.
func (d *DB) Interpolated() *DB {
	return &DB{gorm: d.gorm, hot: d.gorm, sql: d.sql, config: d.config, now: d.now, log: d.log}
}

// LogAll makes every statement count as slow.
func (d *DB) LogAll() {
	all := &gorm.Session{Logger: statementLog{log: d.log}}
	d.gorm, d.hot = d.gorm.Session(all), d.hot.Session(all)
}

// DSNSettings shows what Open makes of a DSN.
func DSNSettings(dsn string) (*mysql.Config, error) {
	return parseDSN(dsn, Options{}.withDefaults().Logger)
}

// MaxAttempts is how often a unit of work is tried.
const MaxAttempts = maxAttempts
