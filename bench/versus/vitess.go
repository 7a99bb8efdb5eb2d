package main

// vitess holds no peer here: smartconnpool comes with some 130 modules, 600 MB of them, that
// take minutes to build, and asks for the newest Go. In make bench-versus, unless it is given
// VITESS=, the overlay in testdata/vitess puts the file that does hold it in place of this one. So
// tests and lint need none of that. After a
// change of dependencies, here in bench/versus:
//
//	go mod tidy -modfile=testdata/vitess/go.mod -overlay=testdata/vitess/overlay.json
var vitess []peer
