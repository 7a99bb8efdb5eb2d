package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/lidopool/lido/bench/internal/page"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/trial"
)

// live is the page that shows a run while it goes on, if --serve asks for one.
type live struct {
	address  string
	anywhere bool
	page     *page.Live
}

func (l *live) flags(c *cobra.Command) {
	c.Flags().StringVar(&l.address, "serve", "", "show the result in a browser while the run goes on, at this `address`, such as localhost:8080")
	c.Flags().BoolVar(&l.anywhere, "serve-anywhere", false, "let --serve name an address that other machines can reach: everybody there sees the result")
	completeFlag(c, "serve", completeWords(func() []string { return []string{"localhost:8080"} }))
}

// open begins to serve, and returns where. Any error is of what was asked for.
func (l *live) open() (url string, err error) {
	if l.address == "" {
		if l.anywhere {
			return "", fmt.Errorf("--serve-anywhere without --serve: give an address, such as --serve :8080")
		}
		return "", nil
	}
	host, _, err := net.SplitHostPort(l.address)
	if err != nil {
		return "", fmt.Errorf("--serve is %.64q: give a host and a port, such as localhost:8080", l.address)
	}
	if !loopback(host) && !l.anywhere {
		return "", fmt.Errorf("--serve %s can be reached from other machines: give localhost, or add --serve-anywhere if that is meant", l.address)
	}
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		return "", fmt.Errorf("--serve: %w; port 0 is one that is free", err)
	}
	l.page = page.Serve(listener)
	return "http://" + listener.Addr().String() + "/", nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (l *live) publish(f result.File, p trial.Progress) {
	if l.page != nil {
		l.page.Publish(f, p)
	}
}

func (l *live) close() {
	if l.page != nil {
		l.page.Close() // who looks has all that there is
	}
}
