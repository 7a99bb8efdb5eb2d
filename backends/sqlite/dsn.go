package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// kind is where a database lives, and who shares it.
type kind uint8

const (
	inFile        kind = iota // in a file, or wherever a VFS of somebody else keeps it
	sharedMemory              // in memory, by the memdb VFS: all connections of the process share it
	privateMemory             // in memory or a temporary file, of its own for each connection
)

// dsn is a DSN that has been read: what is not said in it has been filled in.
type dsn struct {
	kind   kind
	path   string            // as SQLite gets it: absolute for a file
	params map[string]string // canonical values by canonical name
}

// parseDSN reads a DSN and lays the defaults under it. Its errors show no
// values of secret or unknown parameters.
func parseDSN(s string) (dsn, error) {
	if strings.ContainsRune(s, 0) {
		return dsn{}, errors.New("sqlite: DSN contains a zero byte: leave it out")
	}
	path, query, err := split(s)
	if err != nil {
		return dsn{}, err
	}
	d := dsn{path: path}
	if d.params, err = parseParams(query); err != nil {
		return dsn{}, err
	}
	if strings.HasPrefix(s, memdbScheme) {
		if other, ok := d.params["vfs"]; ok && other != "memdb" {
			return dsn{}, fmt.Errorf("sqlite: DSN parameter vfs is %q: a memdb: DSN has its own, leave it out", other)
		}
		d.params["vfs"] = "memdb"
	}
	if err := d.place(); err != nil {
		return dsn{}, err
	}
	d.layDefaults()
	return d, nil
}

// split takes a DSN apart into the path, decoded, and the query, as it is.
func split(s string) (path, query string, err error) {
	scheme := ""
	for _, known := range []string{"file:", memdbScheme} {
		if strings.HasPrefix(s, known) {
			scheme = known
		}
	}
	path, query, _ = strings.Cut(s[len(scheme):], "?")
	if scheme == "" {
		if other := foreignScheme(s); other != "" {
			return "", "", fmt.Errorf("sqlite: DSN begins with %q: give a path, file:path?parameters or memdb:name", other)
		}
		return path, query, nil // a plain path has no escapes
	}
	path, _, cut := strings.Cut(path, "#") // SQLite, too, ignores a URI's fragment
	if cut {
		query = ""
	}
	query, _, _ = strings.Cut(query, "#")
	if scheme == "file:" && strings.HasPrefix(path, "//") {
		host, rest, _ := strings.Cut(path[2:], "/")
		if host != "" && host != "localhost" {
			return "", "", errors.New("sqlite: DSN names a host: SQLite opens local files only, write file:/absolute/path or file:relative/path")
		}
		path = "/" + rest
	}
	if path, err = url.PathUnescape(path); err != nil || strings.ContainsRune(path, 0) {
		return "", "", errors.New("sqlite: DSN has a percent sign in its path that is no escape: write %25 for it")
	}
	if scheme == memdbScheme {
		if path = strings.TrimLeft(path, "/"); path == "" {
			return "", "", errors.New("sqlite: DSN memdb: has no name: write memdb:name")
		}
		path = "/" + path
	}
	return path, query, nil
}

// foreignScheme returns the scheme, up to "://", of a URL that is not SQLite's.
func foreignScheme(s string) string {
	before, _, ok := strings.Cut(s, "://")
	if !ok || before == "" || before == "file" || strings.ContainsFunc(before, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+-.", r)
	}) {
		return ""
	}
	return before + "://"
}

// parseParams reads a query into canonical names and values.
func parseParams(query string) (map[string]string, error) {
	got := map[string]string{}
	var strangers []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, err := splitPair(pair)
		switch {
		case err != nil:
			return nil, err
		case name == "" && value == "", value == "" && name != "_auth":
			continue // go-sqlite3, too, takes an empty value for none
		}
		p, known := find(name)
		if !known {
			strangers = append(strangers, name)
			p = param{name: name, secret: true, read: text}
		}
		canonical, err := p.read(value)
		if err != nil {
			return nil, fmt.Errorf("sqlite: DSN parameter %s is %s: %w", name, p.show(value), err)
		}
		if before, twice := got[p.name]; twice && before != canonical {
			return nil, fmt.Errorf("sqlite: DSN parameter %s is given twice, as %s and %s: give it once",
				p.name, p.show(before), p.show(canonical))
		}
		got[p.name] = canonical
	}
	for _, name := range strangers {
		// Only a VFS of somebody else may know more parameters than we do.
		if vfs := got["vfs"]; vfs == "" || vfs == "memdb" || strings.HasPrefix(name, "_") {
			return nil, unknown(name)
		}
	}
	return got, nil
}

// splitPair decodes name=value. SQLite reads the URI's parameters, in which a
// plus sign is one; go-sqlite3 reads its own as a form, in which it is a space.
func splitPair(pair string) (name, value string, err error) {
	name, value, _ = strings.Cut(pair, "=")
	decode := url.PathUnescape
	if strings.HasPrefix(name, "_") {
		decode = url.QueryUnescape
	}
	name, err = decode(name)
	if err == nil {
		value, err = decode(value)
	}
	if err != nil || strings.ContainsRune(name+value, 0) || strings.Contains(pair, ";") {
		// The text of err would show a part of the value.
		return "", "", errors.New("sqlite: DSN has a parameter that is not well encoded: write %25 for a percent sign, %3B for a semicolon, no zero byte")
	}
	return name, value, nil
}

// show returns a value fit to be shown.
func (p param) show(value string) string {
	if p.secret {
		return mask
	}
	return fmt.Sprintf("%.40q", value)
}

// place finds out where the database lives, and refuses what cannot work.
func (d *dsn) place() error {
	vfs, mode := d.params["vfs"], d.params["mode"]
	switch {
	case d.path == "":
		d.kind = privateMemory
	case d.path == ":memory:" || mode == "memory" || vfs == "memdb" && (len(d.path) < 2 || d.path[0] != '/'):
		d.kind, d.path = privateMemory, ":memory:"
		if mode == "memory" {
			delete(d.params, "mode")
		}
	case vfs == "memdb":
		d.kind = sharedMemory
	case vfs == "":
		absolute, err := filepath.Abs(d.path)
		if err != nil {
			return fmt.Errorf("sqlite: DSN has the relative path %q: give an absolute one: %w", d.path, err)
		}
		d.path = absolute
	}
	if d.kind == privateMemory && vfs == "memdb" {
		delete(d.params, "vfs") // without a name it is a plain :memory:
	}
	if d.kind != inFile && d.params["cache"] == "shared" {
		return fmt.Errorf("sqlite: DSN parameter cache is shared for a database in memory, "+
			"where writers would fail at random whatever the busy timeout: write %s", Memory("name"))
	}
	if d.kind == inFile && d.params["private_memory"] != "" {
		return errors.New("sqlite: DSN parameter private_memory is given for a database in a file: leave it out")
	}
	return nil
}

// layDefaults fills in what the DSN does not say. The reasons are in doc.go.
func (d *dsn) layDefaults() {
	p := d.params
	lay := func(name, value string) {
		if _, said := p[name]; !said {
			p[name] = value
		}
	}
	lay("_busy_timeout", "5000")
	if p["_query_only"] == "1" {
		lay("_txlock", "deferred") // an immediate one would fail
	} else {
		lay("_txlock", "immediate")
	}
	if d.kind == inFile {
		if p["mode"] != "ro" && p["immutable"] != "1" && p["nolock"] != "1" && p["vfs"] == "" {
			lay("_journal_mode", "WAL")
		}
		if p["_journal_mode"] == "WAL" {
			lay("_synchronous", "NORMAL")
		} else {
			lay("_synchronous", "FULL")
		}
	}
	for name, value := range p {
		if known, ok := find(name); ok && known.std == value && value != "" {
			delete(p, name)
		}
	}
}

// keep returns d: as a method value it is a DSN that fmt cannot look into.
func (d dsn) keep() dsn { return d }

// String is the canonical form.
func (d dsn) String() string { return d.format(func(string) bool { return true }) }

// forDriver is the form for go-sqlite3.
func (d dsn) forDriver() string {
	return d.format(func(name string) bool { return name != "private_memory" })
}

// withoutJournal is forDriver for a connection that leaves the journal mode alone.
func (d dsn) withoutJournal() string {
	return d.format(func(name string) bool { return name != "private_memory" && name != "_journal_mode" })
}

// format writes the DSN as a URI with those parameters that keep says.
func (d dsn) format(keep func(name string) bool) string {
	path := d.path
	if d.kind == inFile && runtime.GOOS == "windows" && d.params["vfs"] == "" {
		path = "/" + filepath.ToSlash(path)
	}
	var b strings.Builder
	b.WriteString("file:")
	b.WriteString(escapePath(path))
	separator := byte('?')
	for _, name := range slices.Sorted(maps.Keys(d.params)) {
		if keep(name) {
			b.WriteByte(separator)
			b.WriteString(escape(name) + "=" + escape(d.params[name]))
			separator = '&'
		}
	}
	return b.String()
}

// escape encodes so that decoding as a path and as a form give the same.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// escapePath leaves readable what SQLite reads as it stands.
func escapePath(s string) string {
	return strings.NewReplacer("%2F", "/", "%3A", ":", "%5C", `\`).Replace(escape(s))
}
