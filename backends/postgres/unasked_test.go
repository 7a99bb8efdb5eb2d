package postgres_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/pool"
)

// message is one of PostgreSQL's protocol.
func message(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))) + body
}

func TestALookTellsAFarewellFromNews(t *testing.T) {
	fields := func(code string) string { return "SFATAL\x00VFATAL\x00C" + code + "\x00Mbye\x00\x00" }
	news := message('A', "\x00\x00\x00\x01news\x00hello\x00")
	for _, tt := range []struct {
		name, got string
		want      pool.Fault
	}{
		{"nothing", "", pool.Sound},
		{"notification", news, pool.Sound},
		{"setting", message('S', "TimeZone\x00UTC\x00"), pool.Sound},
		{"notice", message('N', fields("01000")), pool.Sound},
		{"news and news", news + message('S', "TimeZone\x00UTC\x00") + news, pool.Sound},
		{"news, cut", news[:9], pool.Sound},
		{"news, cut in its length", news[:3], pool.Sound},
		{"shutdown", message('E', fields("57P01")), pool.Dead},
		{"shutdown after news", news + message('E', fields("57P01")), pool.Dead},
		{"shutdown, cut", message('E', fields("57P01"))[:30], pool.Dead},
		{"shutdown, cut to its first byte", "E", pool.Dead},
		{"any error", message('E', fields("XX000")), pool.Dead},
		{"stop at once, a notice", message('N', fields("57P01")), pool.Dead},
		{"crash, a notice", message('N', fields("57P02")), pool.AllDead},
		{"crash after news", news + message('N', fields("57P02")), pool.AllDead},
		{"the end of a query", message('C', "SELECT 1\x00") + message('Z', "I"), pool.Dead},
		{"news with an impossible length", "A\x00\x00\x00\x00xxxx", pool.Sound},
		{"text, as from a server that cannot fork", "Ecould not fork new process\n\x00", pool.Dead},
		{"TLS, an alert", "\x15\x03\x03\x00\x02\x01\x00", pool.Dead},
		{"TLS, data", "\x17\x03\x03\x00\x13", pool.Dead},
	} {
		err := postgres.Unasked([]byte(tt.got))
		if f := postgres.Classify(err); f != tt.want || (err == nil) != (tt.want == pool.Sound) {
			t.Errorf("%s: Classify(%v) = %v, want %v", tt.name, err, f, tt.want)
		}
	}
}

func FuzzALookEndsWhateverComes(f *testing.F) {
	f.Add("")
	f.Add(message('N', "C57P02\x00"))
	f.Add(message('A', strings.Repeat("x", 10)) + "E")
	f.Fuzz(func(t *testing.T, got string) {
		_ = postgres.Unasked([]byte(got)) // a length of 0 must not keep it going round
	})
}
