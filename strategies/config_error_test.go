package strategies_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

func TestErrorsNameFieldValueAndRemedy(t *testing.T) {
	literal := func(c config) error { _, err := strategies.New(c); return err }
	text := func(s string) error { _, err := strategies.Parse(s); return err }
	object := func(s string) error { var c config; return json.Unmarshal([]byte(s), &c) }
	document := func(doc any) error { var c config; return c.UnmarshalYAML(yamlUnmarshal(doc)) }
	query := func(s string) error {
		q, err := url.ParseQuery(s)
		if err == nil {
			_, _, err = strategies.FromQuery(q)
		}
		return err
	}
	env := func(vars ...string) error { _, _, err := strategies.FromEnv(lookup(vars), "LIDO_"); return err }

	const (
		from0 = `give 0 to 1048576, or "unlimited" (in Go pool.Unlimited)`
		from1 = `give 1 to 1048576, or "unlimited" (in Go pool.Unlimited)`
		wait  = `give a duration such as "30s", "0s" not to wait (in Go NoWait), or "unlimited" (in Go 0)`
		bound = `: not used by queue with size unlimited, over which nothing can be: leave it out, or give 0`
		over  = `: not used by queue without overflow: leave it out, or give max_overflow`
		known = `known: assertion, null, queue, singleton, static`
	)
	for _, tt := range []struct {
		err  error
		want string
	}{
		// Kinds.
		{literal(config{}), `strategies: kind is empty: set one, or start from strategies.Defaults("queue")`},
		{literal(config{Kind: "qeue"}), `strategies: kind "qeue": unknown; did you mean "queue"? ` + known},
		{literal(config{Kind: "que"}), `strategies: kind "que": unknown; did you mean "queue"? ` + known},
		{text("assert"), `strategies: kind "assert": unknown; did you mean "assertion"? ` + known},
		{text("Queue"), `strategies: kind "Queue": unknown; did you mean "queue"? ` + known},
		{text("lru\n"), `strategies: kind "lru\n": unknown; ` + known},
		{object(`{"kind":"nul"}`), `strategies: kind "nul": unknown; did you mean "null"? ` + known},
		{query("pool_strategy=statik"), `strategies: pool_strategy "statik": unknown; did you mean "static"? ` + known},
		{env("LIDO_STRATEGY=singelton"), `strategies: LIDO_STRATEGY "singelton": unknown; did you mean "singleton"? ` + known},

		// Ranges.
		{literal(config{Kind: "queue", Size: -5}), `pool: queue size is -5: ` + from0},
		{literal(config{Kind: "queue", Size: 1, MaxOverflow: 1<<20 + 1}), `pool: queue max_overflow is 1048577: ` + from0},
		{literal(config{Kind: "queue"}), `pool: queue size is 0: with max_overflow 0 too there is no seat; give 1 or more for either`},
		{text("queue?size=0&max_overflow=0"), `pool: queue size is 0: with max_overflow 0 too there is no seat; give 1 or more for either`},
		{env("LIDO_SIZE=0", "LIDO_MAX_OVERFLOW=0"), `pool: LIDO_SIZE is 0: with LIDO_MAX_OVERFLOW 0 too there is no seat; give 1 or more for either`},
		{literal(config{Kind: "singleton"}), `pool: singleton size is 0: ` + from1},
		{literal(config{Kind: "null"}), `pool: null max is 0: ` + from1},
		{literal(config{Kind: "static", Timeout: -time.Second}), `pool: static timeout is -1s: ` + wait},
		{literal(config{Kind: "queue", Size: 1, Order: "fi\nfo"}), `pool: queue order is "fi\nfo": give affine or lifo or fifo`},
		{text("queue?size=-1"), `pool: queue size is "-1": ` + from0},
		{text("queue?size=five"), `pool: queue size is "five": ` + from0},
		{text("queue?size="), `pool: queue size is "": ` + from0},
		{text("null?timeout=30"), `pool: null timeout is "30": ` + wait},
		{text("queue?order=random"), `pool: queue order is "random": give affine or lifo or fifo`},
		{text("assertion?no_stack=maybe"), `pool: assertion no_stack is "maybe": give true or false`},
		{object(`{"kind":"null","max":0}`), `pool: null max is "0": ` + from1},
		{object(`{"size":1.5}`), `pool: queue size is "1.5": ` + from0},
		{text("queue?max_waiters=-1"), `pool: queue max_waiters is "-1": give 1 to 1048576, or 0 for no bound`},
		{literal(config{Kind: "null", Max: 1, MaxWaiters: 1<<20 + 1}), `pool: null max_waiters is 1048577: give 1 to 1048576, or 0 for no bound`},
		{text("static?max_waiters=1"), `strategies: option "max_waiters": not used by static, which has timeout`},
		{query("pool_size=2000000"), `pool: pool_size is "2000000": ` + from0},
		{env("LIDO_TIMEOUT=-3s"), `pool: LIDO_TIMEOUT is "-3s": ` + wait},

		// Options of other kinds, and of none.
		{literal(config{Kind: "null", Max: 1, Size: 2}), `strategies: option "size": not used by null, which has max, timeout, max_waiters`},
		{text("queue?max=1"), `strategies: option "max": not used by queue, which has size, max_overflow, timeout, max_waiters, order, fairness, shed, shares, linger`},
		{text("assertion?timeout=unlimited"), `strategies: option "timeout": not used by assertion, which has no_stack`},
		{document(map[string]any{"kind": "static", "size": 5}), `strategies: option "size": not used by static, which has timeout`},
		{literal(config{Kind: "queue", Size: pool.Unlimited, MaxOverflow: 1}), `strategies: option "max_overflow"` + bound},
		{text("queue?size=unlimited&max_overflow=unlimited"), `strategies: option "max_overflow"` + bound},
		{text("queue?shares=20"), `pool: queue shares is "20": one class is none; give two or more, or leave it out`},
		{text("queue?shares=0,,10"), `pool: queue shares is "0,,10": give a per cent for each class, the highest first, such as "0,20,10"`},
		{text("queue?shares=0,-1"), `pool: queue shares is "0,-1": give a per cent for each class, the highest first, such as "0,20,10"`},
		{text("queue?shares=0,+1"), `pool: queue shares is "0, 1": give a per cent for each class, the highest first, such as "0,20,10"`},
		{text("queue?shares=1,101"), `pool: queue shares is "1,101": give a per cent for each class, the highest first, such as "0,20,10"`},
		{literal(config{Kind: "queue", Size: 1, Shares: "0,007"}), `pool: queue shares is "0,007": give a per cent for each class, the highest first, such as "0,20,10"`},
		{text("queue?shares=0,20,0"), `pool: queue shares is "0,20,0": the class with 0 could wait for ever; give each but the first 1 or more`},
		{env("LIDO_SHARES=50,40,20"), `pool: LIDO_SHARES is "50,40,20": that is 110 per cent; give 100 or less in all`},
		{object(`{"shares":"0,60,40"}`), `pool: queue shares is "0,60,40": nothing is left for the first class; give it 1 or more, or 99 or less in all`},
		{query("pool_shares=0,20&pool_fairness=bounded"), `pool: pool_shares is "0,20": it needs pool_fairness strict: who passes by an open line has no class`},
		{text("queue?shed=always"), `pool: queue shed is "always": give true or false`},
		{text("queue?linger=-1s"), `pool: queue linger is "-1s": give a duration such as "30s", or "0s" for none`},
		{text("queue?max_overflow=0&linger=1s"), `strategies: option "linger"` + over},
		{query("pool_size=unlimited&pool_linger=1s"), `strategies: option "pool_linger"` + strings.Replace(over, "max", "pool_max", 1)},
		{env("LIDO_SIZE=unlimited", "LIDO_MAX_OVERFLOW=10"), `strategies: option "LIDO_MAX_OVERFLOW"` +
			strings.Replace(bound, "with size", "with LIDO_SIZE", 1)},
		{query("pool_max=1"), `strategies: option "pool_max": not used by queue, which has pool_size, pool_max_overflow, pool_timeout, pool_max_waiters, pool_order, pool_fairness, pool_shed, pool_shares, pool_linger`},
		{env("LIDO_STRATEGY=null", "LIDO_SIZE=1"), `strategies: option "LIDO_SIZE": not used by null, which has LIDO_MAX, LIDO_TIMEOUT, LIDO_MAX_WAITERS`},
		{text("queue?sise=1"), `strategies: option "sise": unknown; did you mean "size"? known: size, max_overflow, timeout, max_waiters, order, fairness, shed, shares, linger`},
		{object(`{"Size":1}`), `strategies: option "Size": unknown; did you mean "size"? known: kind, size, max_overflow, timeout, max_waiters, order, fairness, shed, shares, linger`},
		{object(`{"Kind":"queue"}`), `strategies: option "Kind": unknown; did you mean "kind"? known: kind, size, max_overflow, timeout, max_waiters, order, fairness, shed, shares, linger`},
		{document(map[any]any{12: 5}), `strategies: option "12": unknown; known: kind, size, max_overflow, timeout, max_waiters, order, fairness, shed, shares, linger`},

		// Several at once.
		{text("null?sise=1&order=x&max=0&timeout=soon"), strings.Join([]string{
			`pool: null max is "0": ` + from1,
			`pool: null timeout is "soon": ` + wait,
			`strategies: option "order": not used by null, which has max, timeout, max_waiters`,
			`strategies: option "sise": unknown; known: max, timeout, max_waiters`}, "\n")},
		{literal(config{Kind: "queue", Timeout: -2}), strings.Join([]string{
			`pool: queue timeout is -2ns: ` + wait,
			`pool: queue size is 0: with max_overflow 0 too there is no seat; give 1 or more for either`}, "\n")},
		{literal(config{Kind: "assertion", Size: 1, Timeout: -5, Order: "x"}), strings.Join([]string{
			`strategies: option "size": not used by assertion, which has no_stack`,
			`strategies: option "timeout": not used by assertion, which has no_stack`,
			`strategies: option "order": not used by assertion, which has no_stack`}, "\n")},

		// Texts that are not even that.
		{text("queue?size=%zz"), `strategies: config: invalid URL escape "%zz"`},
		{text("queue?size=1&size=1"), `strategies: config: "size" is given 2 times; give it once`},
		{text("queue?kind=null"), `strategies: config: the kind stands before the question mark, as in "queue?size=5"`},
		{text("postgres://joe:secret@host/db?pool_size=1"), `strategies: config: begins like a DSN; give a kind and its options, as in "queue?size=5"`},
		{query("pool_size=1&pool_size=2"), `strategies: config: "pool_size" is given 2 times; give it once`},
		{object(`{"size":1,"size":2}`), `strategies: config: "size" is given twice; give it once`},
		{object(`{"size":[1]}`), `strategies: config: "size": want a number, a string or a bool`},
		{object(`12`), `strategies: config: want a JSON object or string`},
		{new(config).UnmarshalJSON([]byte(`{`)), `strategies: config: unexpected end of JSON input`},
		{new(config).UnmarshalJSON([]byte(`"`)), `strategies: config: unexpected end of JSON input`},
		// In YAML an unquoted null is not the word, and must not end up as the default kind.
		{document(map[string]any{"kind": nil}), `strategies: config: "kind" is null: leave the key out, or quote the value if it is the word "null"`},
		{object(`{"kind":null}`), `strategies: config: "kind" is null: leave the key out, or quote the value if it is the word "null"`},
		{document(12), `strategies: config: want a YAML mapping or string`},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("error is\n%v\nwant\n%s", tt.err, tt.want)
		}
	}
}

func TestAWrongValueIsAnOptionErrorInEveryForm(t *testing.T) {
	_, fromText := strategies.Parse("queue?size=-2")
	_, _, fromQuery := strategies.FromQuery(url.Values{"pool_size": {"-2"}})
	_, _, fromEnv := strategies.FromEnv(lookup([]string{"LIDO_SIZE=-2"}), "LIDO_")
	for field, err := range map[string]error{
		"queue size": fromText,
		"pool_size":  fromQuery,
		"LIDO_SIZE":  fromEnv,
	} {
		var bad *pool.OptionError
		if !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("error %v is no *pool.OptionError for %s", err, field)
		}
	}
}
