package manage

import "sync/atomic"

// tenancy numbers the leases of a pinned proxy, and counts the holders of the present one: who leased it, and each of
// its rows and transactions. It is one word, so that to end a lease is one atomic operation. The number takes 44 bits of
// it: no copy of a Conn meets its number again before 10 million leases a second have gone on for 20 days.
//
// Only who has leased the proxy calls begin, and nobody is a holder then.
type tenancy struct{ word atomic.Uint64 }

const (
	aHolder  = 1
	aTenancy = 1 << 20
)

// number is that of the present lease, or of the next.
func (t *tenancy) number() uint64 { return t.word.Load() / aTenancy }

// held reports whether there is a holder.
func (t *tenancy) held() bool { return t.word.Load()%aTenancy > 0 }

// begin is for the first holder.
func (t *tenancy) begin() { t.word.Store(t.word.Load() + aHolder) }

// join is for another one, while there are some.
func (t *tenancy) join() { t.word.Add(aHolder) }

// leave ends one holder. It reports whether that was the last: then the number has moved on.
func (t *tenancy) leave() (last bool) {
	for {
		w := t.word.Load()
		next := w - aHolder
		if last = next%aTenancy == 0; last {
			next += aTenancy
		}
		if t.word.CompareAndSwap(w, next) {
			return last
		}
	}
}

// end is leave for who has leased the proxy, and its number moves on also if other holders are left. It
// reports false, and does nothing, if it has moved on already.
func (t *tenancy) end(number uint64) (last, ok bool) {
	for {
		w := t.word.Load()
		if w/aTenancy != number || w%aTenancy == 0 {
			return false, false
		}
		next := w - aHolder + aTenancy
		if t.word.CompareAndSwap(w, next) {
			return next%aTenancy == 0, true
		}
	}
}
