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
		return dsn, nil, nil
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
