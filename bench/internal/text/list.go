package text

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// List writes a list of words under a title, each of which may have a tab and a sentence about it. width is as of Table.
func List(w io.Writer, title string, list []string, width int) error {
	longest := 0
	for _, s := range list {
		word, _, _ := strings.Cut(s, "\t")
		longest = max(longest, utf8.RuneCountInString(word))
	}
	out := title + "\n"
	for _, s := range list {
		word, about, _ := strings.Cut(s, "\t")
		out += wrap(about, fmt.Sprintf("  %-*s  ", longest, word), strings.Repeat(" ", longest+4), width)
	}
	_, err := io.WriteString(w, out)
	return err
}
