package scenario

// Recovery is shown to the tests because no scenario meets all its edges.
var Recovery = recovery
