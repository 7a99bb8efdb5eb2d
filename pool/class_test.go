package pool_test

import (
	"context"
	"testing"

	"github.com/lidopool/lido/pool"
)

func TestClassComesWithTheContext(t *testing.T) {
	ctx := context.Background()
	low, cancel := context.WithCancel(pool.WithClass(ctx, 3))
	defer cancel()
	for _, tc := range []struct {
		ctx  context.Context
		want int
		what string
	}{
		{ctx, 0, "without a class"},
		{low, 3, "derived from one with class 3"},
		{pool.WithClass(low, 1), 1, "class 1 within class 3: the inner one counts"},
		{pool.WithClass(ctx, -5), 0, "with a class below 0"},
	} {
		if got := pool.ClassOf(tc.ctx); got != tc.want {
			t.Errorf("class of a ctx %s is %d, want %d", tc.what, got, tc.want)
		}
	}
}
