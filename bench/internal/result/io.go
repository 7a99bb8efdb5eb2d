package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lidopool/lido/bench/internal/replace"
)

// Write writes f as JSON, with a line for each cell and timeline. Whatever cannot be written is known before the
// first byte.
func Write(w io.Writer, f File) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = w.Write(append(broken(text, 2), '\n'))
	return err
}

// broken is compact JSON with line breaks in the outermost levels.
func broken(text []byte, levels int) []byte {
	var all []byte
	level, quoted := 0, false
	line := func() { all = append(append(all, '\n'), "\t\t\t\t"[:level]...) }
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			all = append(all, c)
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case (c == '}' || c == ']') && level > 0:
			level--
			if level < levels && text[i-1] != '{' && text[i-1] != '[' {
				line()
			}
		}
		all = append(all, text[i])
		if quoted {
			continue
		}
		switch c := text[i]; {
		case c == '{' || c == '[':
			level++
			if level <= levels && text[i+1] != '}' && text[i+1] != ']' {
				line()
			}
		case c == ',' && level <= levels:
			line()
		case c == ':' && level <= levels:
			all = append(all, ' ')
		}
	}
	return all
}

// WriteFile writes f to a file as a whole or not at all, as replace.File does.
func WriteFile(name string, f File) error {
	return replace.File(name, func(w io.Writer) error { return Write(w, f) })
}

// Read reads what Write wrote. It is strict: a field that is not known here, a File of another Format, or
// anything after it is an error.
func Read(r io.Reader) (File, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return File{}, err
	}
	// The format first: what is strange in a file of another one is no error in it.
	var about struct{ Format *string }
	if err := json.Unmarshal(text, &about); err != nil {
		return File{}, fmt.Errorf("no result of lidobench: %w", err)
	}
	switch {
	case about.Format == nil:
		return File{}, errors.New(`no result of lidobench: "format" is missing; give a file that --json wrote`)
	case *about.Format != Format:
		return File{}, fmt.Errorf("format is %.64q: this lidobench reads %q; use the one that wrote it", *about.Format, Format)
	}
	var f File
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return File{}, fmt.Errorf("no result of lidobench: %w", err)
	}
	return f, f.check()
}

// ReadFile reads what WriteFile wrote.
func ReadFile(name string) (File, error) {
	f, err := os.Open(name)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	file, err := Read(f)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// check says what in f would make its readers stumble.
func (f File) check() error {
	type row struct {
		spec, backend, pool string
		goroutines, size    int
	}
	seen := map[row]bool{}
	for _, c := range f.Cells {
		r := row{c.Spec, c.Backend, c.Pool, c.Goroutines, c.Size}
		if seen[r] {
			return fmt.Errorf("no result of lidobench: %s under %s with %d goroutines and size %d is there twice", c.Pool, c.Spec, c.Goroutines, c.Size)
		}
		seen[r] = true
	}
	return nil
}
