package loopback

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// Listen listens at a port of 127.0.0.1 that is nobody's.
func Listen() (net.Listener, error) {
	var err error
	for range 100 { // a free one is found at once, or something else is wrong
		var l net.Listener
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(15000)))
		if l, err = net.Listen("tcp", addr); err == nil {
			return l, nil
		}
	}
	return nil, err
}
