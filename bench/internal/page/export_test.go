package page

var Clone = clone

// Served is closed when the server has ended.
func (s *Live) Served() <-chan struct{} { return s.served }
