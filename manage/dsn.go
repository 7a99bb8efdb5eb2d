package manage

import (
	"fmt"
	"net/url"
	"strings"
)

// settingPrefix begins the name of every setting in a DSN.
const settingPrefix = "pool_"

// splitDSN takes the settings of a pool out of a DSN. They stand behind its last
// question mark, in any order among the parameters of the driver, joined by &. The rest is
// what it was, letter by letter, so that whatever form the driver wants, it gets.
func splitDSN(dsn string) (rest string, query url.Values, err error) {
	at := strings.LastIndexByte(dsn, '?')
	if at < 0 {
		return dsn, nil, outsideQuery(dsn)
	}
	if err := outsideQuery(dsn[:at]); err != nil {
		return "", nil, err
	}
	var kept []string
	query = url.Values{}
	for part := range strings.SplitSeq(dsn[at+1:], "&") {
		key, value, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(key)
		if err != nil || !strings.HasPrefix(key, settingPrefix) {
			kept = append(kept, part) // also when it is no query at all, but a password with a question mark
			continue
		}
		value, err = url.QueryUnescape(value)
		if err != nil {
			return "", nil, fmt.Errorf("%.64s: a percent sign starts no escape: write %%25 for a percent sign", key)
		}
		query.Add(key, value)
	}
	switch {
	case len(query) == 0:
		return dsn, nil, nil
	case len(kept) == 0:
		return dsn[:at], query, nil
	}
	return dsn[:at+1] + strings.Join(kept, "&"), query, nil
}

// outsideQuery refuses a setting that stands where none is looked for, as in postgres://h/shop&pool_size=5:
// the driver would take it for a part of the database's name, or for a parameter of the server. What
// stands before a slash may be a directory, of any name.
func outsideQuery(text string) error {
	if !strings.Contains(text, settingPrefix) { // nearly always
		return nil
	}
	text = text[strings.LastIndexByte(text, '/')+1:]
	for _, name := range SettingKeys() {
		for _, before := range []string{"&", " "} {
			if strings.Contains(text, before+name+"=") {
				return fmt.Errorf("%s stands outside of the query: write ?%[1]s=… at the end, and & before each further setting", name)
			}
		}
	}
	return nil
}
