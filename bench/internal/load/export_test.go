package load

import "time"

// In a bubble no timer is late, and elsewhere nobody knows by how much: so this is tested by itself.

var NewSchedule = newSchedule

func (s *schedule) Next() (a arrival, due, late time.Duration) { a = s.next(); return a, a.due, a.late }

func (s *schedule) Came(a arrival, now time.Duration) time.Duration { return s.came(a, now) }
