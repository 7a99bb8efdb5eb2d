package servertest

// Root returns where everything of this binary's servers is.
func Root() string {
	r, err := theRoot()
	if err != nil {
		panic(err)
	}
	return r.dir
}
