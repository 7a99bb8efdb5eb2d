package manage

// Pins counts the connections that database/sql has for the DBs of m.
func (m *Manager) Pins() (n int) {
	for _, e := range m.entries {
		n += e.pinDB().Stats().OpenConnections
	}
	return n
}
