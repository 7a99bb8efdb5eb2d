package main

// TODO(issue 6): the program.
func main() {}
