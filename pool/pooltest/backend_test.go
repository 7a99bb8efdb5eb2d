package pooltest_test

import (
	"testing"

	"github.com/lidopool/lido/pool/pooltest"
)

func TestFakeIsABackend(t *testing.T) {
	f := pooltest.NewFake()
	pooltest.TestBackend(t, f, pooltest.BackendOptions[*pooltest.Resource]{
		Break: func(*testing.T, *pooltest.Resource) { f.Next(pooltest.Ping, pooltest.Fail(pooltest.ErrDead)) },
	})
	f.Verify(t)
}
