// Package examples holds the example mini-program and the phone that runs it outside of WeChat, as files.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed miniprogram/*.js miniprogram/*.json miniprogram/*.wxss miniprogram/pages miniprogram/utils phone/*.js
var files embed.FS

// MiniProgram returns the mini-program's folder, with app.json at its root.
func MiniProgram() fs.FS { return sub("miniprogram") }

// Phone returns the runtime that runs a mini-program in Node and in a browser.
func Phone() fs.FS { return sub("phone") }

func sub(folder string) fs.FS {
	inner, err := fs.Sub(files, folder)
	if err != nil {
		panic("examples: " + err.Error()) // a folder's name that is malformed
	}
	return inner
}
