package manage

// LikeOutsideABubble has whoever holds locks of database/sql wait in the line of the pools of m also in a bubble of
// testing/synctest. A test that calls it must not wait for such a lock.
func (m *Manager) LikeOutsideABubble() {
	for _, e := range m.entries {
		e.bubble = false
	}
}

// Pins counts the connections that database/sql has for the DBs of m.
func (m *Manager) Pins() (n int) {
	for _, e := range m.entries {
		n += e.pinDB().Stats().OpenConnections
	}
	return n
}
