package servertest

import "testing"

func Missing(t testing.TB) { missing(t, missingError{"postgres"}) }

func Root() string {
	r, err := theRoot()
	if err != nil {
		panic(err)
	}
	return r.dir
}
