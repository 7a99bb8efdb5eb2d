// Package socket looks at what lies ready on a network connection, without reading it.
package socket
