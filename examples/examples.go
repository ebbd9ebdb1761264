// Package examples holds the example mini-program's login client and a phone to run it outside of WeChat, as files.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed miniprogram/utils/*.js phone/*.js
var files embed.FS

// Client returns the mini-program's login client, wxlogin.js, and its texts.
func Client() fs.FS { return sub("miniprogram/utils") }

// Phone returns the wx object of a phone, with wx.js as its entry, for Node and for browsers.
func Phone() fs.FS { return sub("phone") }

func sub(folder string) fs.FS {
	inner, err := fs.Sub(files, folder)
	if err != nil {
		panic("examples: " + err.Error()) // a folder's name that is malformed
	}
	return inner
}
