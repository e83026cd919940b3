// SQLite for Gitea 1.26 without cgo, as newer versions have it by themselves.

package main

import (
	"database/sql"
	"database/sql/driver"
	"strings"

	"code.gitea.io/gitea/modules/setting"
	"modernc.org/sqlite"
)

type sqliteDriver struct{ sqlite.Driver }

// Open opens a database with options of this driver in place of those of mattn/go-sqlite3.
func (d *sqliteDriver) Open(name string) (driver.Conn, error) {
	path, _, _ := strings.Cut(name, "?")
	return d.Driver.Open(path + "?_pragma=busy_timeout(20000)&_txlock=immediate")
}

func init() {
	sql.Register("sqlite3", &sqliteDriver{})
	setting.EnableSQLite3 = true
	setting.SupportedDatabaseTypes = append(setting.SupportedDatabaseTypes, "sqlite3")
}
