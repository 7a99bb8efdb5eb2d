package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Real time is needed, since a browser is elsewhere: the run goes on until it has been seen.
func TestARunIsServedWhileItGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, stderr := io.Pipe()
	code := make(chan int, 1)
	go func() {
		args := []string{"run", "--backend", "synthetic?use=100us", "--workload", "query", "--strategy", "queue", "--goroutines", "1",
			"--rounds", "1000", "--window", "10ms", "--warm", "0s", "--serve", "127.0.0.1:0"}
		code <- run(ctx, args, strings.NewReader(""), io.Discard, stderr)
		stderr.Close()
	}()
	lines := bufio.NewScanner(r)
	url := ""
	for url == "" && lines.Scan() {
		_, url, _ = strings.Cut(lines.Text(), "live at ")
	}
	go io.Copy(io.Discard, r)
	if url == "" {
		t.Fatalf("it ended with %d and did not say where it serves", <-code)
	}
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(page), "<html") {
		t.Errorf("%s: %s, %v, %.200q", url, response.Status, err, page)
	}
	cancel()
	if c := <-code; c != 130 && c != 0 {
		t.Errorf("exit code %d, want 130", c)
	}
	if again, err := http.Get(url); err == nil {
		again.Body.Close()
		t.Error("it still serves after its end")
	}
}
