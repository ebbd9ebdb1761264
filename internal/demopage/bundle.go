package demopage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
)

// bundled are the kinds of files that a mini-program is made of.
var bundled = []string{".js", ".json", ".wxml", ".wxss"}

// addBundle adds a folder's bundle under /bundle/.
func addBundle(routes *http.ServeMux, name string, files fs.FS, without ...string) error {
	script, err := makeBundle(name, files, without...)
	if err != nil {
		return err
	}
	served, err := newStatic(name+".js", script)
	if err != nil {
		return err
	}
	routes.Handle("GET /bundle/"+name+".js", served)
	return nil
}

// makeBundle makes a script that hands a folder to the page's loader: every script in a function, as WeChat wraps those of
// a mini-program, and the other files as texts. Those in without are left out.
func makeBundle(name string, files fs.FS, without ...string) ([]byte, error) {
	var script bytes.Buffer
	fmt.Fprintf(&script, "bundle(%s);\n", quote(name))
	err := fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains(bundled, path.Ext(file)) || slices.Contains(without, file) {
			return err
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		if strings.HasSuffix(file, ".js") {
			fmt.Fprintf(&script, "define(%s, function (require, module, exports, wx, App, Page, getApp, getCurrentPages) {\n%s\n});\n", quote(file), text)
		} else {
			fmt.Fprintf(&script, "file(%s, %s);\n", quote(file), quote(string(text)))
		}
		return nil
	})
	return script.Bytes(), err
}

// quote writes a string literal: JSON's is JavaScript's too.
func quote(s string) string {
	literal, err := json.Marshal(s)
	if err != nil {
		panic("demopage: a string cannot be encoded: " + err.Error())
	}
	return string(literal)
}
