// Package loopback finds ports for servers that come and go at the same address.
//
// They lie between 15000 and 30000, below those that kernels give to clients and to who asks for
// any port: while the server is away, no client can find itself at its port.
package loopback
