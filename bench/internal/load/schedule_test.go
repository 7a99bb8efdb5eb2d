package load_test

import (
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

func TestALateTimerIsNoWaitOfABurst(t *testing.T) {
	s := load.NewSchedule(workload(t, "burst?rate=300&burst=3&even=true"), load.Window{Goroutines: 4})
	first, due, late := s.Next()
	second, sameDue, _ := s.Next()
	if due != 10*time.Millisecond || sameDue != due || late != 0 {
		t.Errorf("the first two are due at %v and %v, late by %v; want 10ms, 0", due, sameDue, late)
	}
	for i, a := range []time.Duration{s.Came(first, due+300*time.Microsecond), s.Came(second, due+700*time.Microsecond)} {
		if want := due + 300*time.Microsecond; a != want {
			t.Errorf("arrival %d came at %v, want %v, when the first of the burst was woken", i+1, a, want)
		}
	}
	if _, at, late := s.Next(); at != due || late != 300*time.Microsecond {
		t.Errorf("the third, for whom nobody has waited, was due at %v, and %v late; want it to come with the others", at, late)
	}
}

func TestATimerThatIsVeryLateIsAWait(t *testing.T) {
	s := load.NewSchedule(workload(t, "burst?rate=300&burst=3&even=true"), load.Window{Goroutines: 4})
	first, due, _ := s.Next()
	second, _, _ := s.Next()
	if a, b := s.Came(first, due+2100*time.Microsecond), s.Came(second, due+2200*time.Microsecond); a != due || b != due {
		t.Errorf("they came at %v and %v, want %v: something kept them from running for more than 2 ms", a, b, due)
	}
	if _, _, late := s.Next(); late != 0 {
		t.Errorf("the third is excused for %v", late)
	}
}

func TestWhoeverComesLongAfterTheOthersIsNotExcused(t *testing.T) {
	s := load.NewSchedule(workload(t, "burst?rate=1000&burst=1&even=true"), load.Window{Goroutines: 2})
	first, due, _ := s.Next()
	for range 3 {
		a, at, _ := s.Next()
		s.Came(a, at+time.Millisecond)
	}
	if came := s.Came(first, due+100*time.Microsecond); came != due {
		t.Errorf("it came at %v, want %v", came, due)
	}
}
