package pool

// upkeep is the pool's background care.
type upkeep[T any] struct{}

func (u *upkeep[T]) init(*Pool[T]) {}
func (u *upkeep[T]) opened()       {}
func (u *upkeep[T]) close()        {}
