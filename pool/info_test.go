package pool_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
)

func TestInfoIsClearedWithItsResourceAndSeatInfoIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		role, visits := pool.NewKey[string]("role"), pool.NewKey[int]("visits")
		p := open(t, pooltest.NewFake(), one, pool.Options{})
		l := acquire(t, p)
		role.Set(l.Info(), "reader")
		visits.Set(l.SeatInfo(), 1)
		release(t, l)

		l = acquire(t, p)
		if v, ok := role.Get(l.Info()); v != "reader" || !ok {
			t.Errorf("Info of the same resource: %q, %v, want what was set", v, ok)
		}
		if err := l.Discard(nil); err != nil {
			t.Fatal(err)
		}

		l = acquire(t, p)
		if v, ok := role.Get(l.Info()); ok {
			t.Errorf("Info of a fresh resource holds %q, want nothing: it lasts as long as the resource", v)
		}
		if v, ok := visits.Get(l.SeatInfo()); v != 1 || !ok {
			t.Errorf("SeatInfo: %d, %v, want 1: it outlasts the resources in the seat", v, ok)
		}
	})
}

func TestInfoIsSharedByHooksAndLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, seatKey := pool.NewKey[uint64]("id"), pool.NewKey[string]("from")
		rec := newRecorder()
		rec.on("connect", func(_ context.Context, e pool.Event[res]) error {
			key.Set(e.Info(), e.ID)
			seatKey.Set(e.SeatInfo(), "hook")
			return nil
		})
		rec.on("checkin", func(_ context.Context, e pool.Event[res]) error {
			if !e.Open && e.Info() != nil {
				t.Error("Info of an event without a resource is not nil")
			}
			return nil
		})
		p := open(t, pooltest.NewFake(), one, pool.Options{}, rec.hooks())
		l := acquire(t, p)
		if v, _ := key.Get(l.Info()); v != 1 {
			t.Errorf("the lease's Info holds %d, want 1 as the connect hook has set", v)
		}
		if v, _ := seatKey.Get(l.SeatInfo()); v != "hook" {
			t.Errorf("the lease's SeatInfo holds %q, want %q", v, "hook")
		}
		_ = l.Discard(nil)
	})
}

func TestNilInfoIsEmpty(t *testing.T) {
	key := pool.NewKey[int]("n")
	key.Set(nil, 1)
	key.Delete(nil)
	if v, ok := key.Get(nil); v != 0 || ok {
		t.Errorf("Get of a nil Info: %d, %v, want nothing", v, ok)
	}
}

func TestKeysAreToldApartByIdentityNotByName(t *testing.T) {
	var in pool.Info
	a, b := pool.NewKey[int]("n"), pool.NewKey[int]("n")
	a.Set(&in, 1)
	if _, ok := b.Get(&in); ok {
		t.Error("a key of the same name found another key's value")
	}
	a.Set(&in, 2)
	if v, _ := a.Get(&in); v != 2 {
		t.Errorf("Get = %d, want the newest value, 2", v)
	}
	a.Delete(&in)
	if _, ok := a.Get(&in); ok {
		t.Error("Get found a deleted value")
	}
	if got := a.String() + (pool.Key[int]{}).String(); got != "n" {
		t.Errorf("the names of a key and the zero key are %q, want %q", got, "n")
	}
}
