package sqlite

import "strings"

const mask = "xxxxx"

// redact returns a DSN, also one that cannot be read, without its secrets. It
// shows the values of those parameters only that it knows to be harmless.
func redact(s string) string {
	if scheme := foreignScheme(s); scheme != "" {
		return scheme + mask // not ours: any part may be a password
	}
	head, query, found := strings.Cut(s, "?")
	if !found {
		return s
	}
	var b strings.Builder
	b.WriteString(head)
	separator := "?"
	for pair := range strings.SplitSeq(query, "&") {
		b.WriteString(separator + redactPair(pair))
		separator = "&"
	}
	return b.String()
}

func redactPair(pair string) string {
	name, value, err := splitPair(pair)
	p, known := find(name)
	if err == nil && known && !p.secret {
		if value, _, _ = strings.Cut(value, "#"); value == "" {
			return escape(name) + "="
		}
		if _, err := p.read(value); err == nil {
			return escape(name) + "=" + escape(value)
		}
	}
	if err != nil || !known && !strings.Contains(pair, "=") {
		return mask // it may be the rest of a password with an ampersand
	}
	return escape(name) + "=" + mask
}
