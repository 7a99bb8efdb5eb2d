package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"

	"github.com/lidopool/lido/bench/internal/result"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

//go:embed vendor/echarts.min.js
var echartsJS string

var templates = template.Must(template.New("page").Funcs(template.FuncMap{
	"colour": func(style int) int { return style % colours },
	"symbol": func(style int) int { return style % symbols },
	"dash":   func(style int) int { return style % dashes },
	"add":    func(a, b int) int { return a + b },
}).Parse(pageHTML))

// How many there are of each in page.css and page.js. A pool's colour, symbol and dash follow from its
// place among the pools; as the numbers have no common factor but 1 and 2, forty pools look different.
const (
	colours = 8
	symbols = 5
	dashes  = 4
)

// A document is what the template page makes.
type document struct {
	*view
	Live    bool
	Policy  string
	CSS     template.CSS
	ECharts template.JS
	Script  template.JS
	State   state // of a live page
}

// policy is the Content-Security-Policy of a page: it may run its own two scripts and nothing else,
// and load nothing from anywhere. connect says whom a live page may ask. Styles are inline: the
// charts set them.
func policy(connect string) string {
	return "default-src 'none'; script-src '" + hash(echartsJS) + "' '" + hash(pageJS) + "'; style-src 'unsafe-inline'" +
		connect + "; base-uri 'none'; form-action 'none'"
}

func hash(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Write writes f as one HTML document that needs no network: a summary in words, what it was measured on, and for
// each workload and scenario the charts with their tables. Names and texts of f may be anything.
// It writes once, when the document is whole.
func Write(w io.Writer, f result.File) error { return write(w, f, document{Policy: policy("")}) }

func write(w io.Writer, f result.File, d document) error {
	d.view, d.CSS, d.ECharts, d.Script = newView(f), template.CSS(pageCSS), template.JS(echartsJS), template.JS(pageJS)
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "page", d); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
