package main

import (
	"context"
	"database/sql"
)

// database is what MySQL holds in the end.
type database struct {
	identities []identity
	users      int // rows
	lonely     int // of them, those that no identity points at
}

// identity is a row of wechat_identities with its user.
type identity struct {
	openID   string
	userID   int64
	orphan   bool // there is no such user
	nickname string
}

const identitiesQuery = `SELECT i.openid, i.user_id, u.id IS NULL, COALESCE(u.nickname, '')
FROM wechat_identities i LEFT JOIN users u ON u.id = i.user_id WHERE i.appid = ?`

const usersQuery = `SELECT COUNT(*), COALESCE(SUM(NOT EXISTS (
SELECT 1 FROM wechat_identities i WHERE i.user_id = u.id)), 0) FROM users u`

func readDatabase(ctx context.Context, db *sql.DB) (d database, err error) {
	rows, err := db.QueryContext(ctx, identitiesQuery, appID)
	if err != nil {
		return database{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var i identity
		if err := rows.Scan(&i.openID, &i.userID, &i.orphan, &i.nickname); err != nil {
			return database{}, err
		}
		d.identities = append(d.identities, i)
	}
	if err := rows.Err(); err != nil {
		return database{}, err
	}
	err = db.QueryRowContext(ctx, usersQuery).Scan(&d.users, &d.lonely)
	return d, err
}

// byOpenID indexes the identities.
func (d database) byOpenID() map[string]identity {
	m := make(map[string]identity, len(d.identities))
	for _, i := range d.identities {
		m[i.openID] = i
	}
	return m
}
