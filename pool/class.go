package pool

import "context"

type classKey struct{}

// WithClass returns a ctx whose Acquires are of a priority class, for strategies that have
// classes, such as strategies.Queue with Shares: 0 is the highest. A class below 0 counts as
// 0, and one beyond the last that the strategy has as the last.
func WithClass(ctx context.Context, class int) context.Context {
	return context.WithValue(ctx, classKey{}, max(class, 0))
}

// ClassOf is the class that WithClass gave to ctx. Without one it is 0, the highest: mark what
// can wait. What nobody thought of marking is then served as it would be without classes.
func ClassOf(ctx context.Context) int {
	class, _ := ctx.Value(classKey{}).(int)
	return class
}
