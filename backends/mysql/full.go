package mysql

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
)

// fullReachable says why a full reset cannot reach the server, if it cannot.
func (d dsn) fullReachable() error {
	const remedy = ", or take the reset mode rollback"
	if d.config.TLS != nil {
		return errors.New("mysql: reset mode is full with TLS, past which its command cannot be sent: set tls=false in the DSN" + remedy)
	}
	if _, ok := d.param("compress"); ok {
		return errors.New("mysql: reset mode is full with compression, past which its command cannot be sent: leave compress out of the DSN" + remedy)
	}
	if !d.dialled() {
		return fmt.Errorf("mysql: reset mode is full on network %.40q, whose sockets only the driver knows: name tcp or unix in the DSN%s", d.config.Net, remedy)
	}
	return nil
}

// full returns the full reset. COM_RESET_CONNECTION rolls back, unlocks, and drops temporary
// tables, user variables, prepared statements and settings. The driver has no call for it, but
// between two commands its socket is quiet, and the command is five bytes.
//
// Then come the character set and the settings, as the driver sends them when it connects, and
// the database, which the command leaves as it is. They also make the driver hear the server's status
// anew, by which it escapes strings (NO_BACKSLASH_ESCAPES).
func (d dsn) full() func(context.Context, driver.Conn, net.Conn) error {
	settings, use := d.settings(), "USE `"+strings.ReplaceAll(d.config.DBName, "`", "``")+"`"
	return func(ctx context.Context, c driver.Conn, socket net.Conn) error {
		if err := resetConnection(ctx, socket); err != nil {
			return err
		}
		var err error
		for _, text := range settings {
			if err = exec(ctx, c, text); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
		if d.config.DBName != "" {
			return exec(ctx, c, use)
		}
		row, err := ask(ctx, c, "SELECT DATABASE() IS NULL", 1)
		if err == nil && row[0] != "1" {
			err = errors.New("mysql: the holder has chosen a database, and the DSN has none to go back to: name one")
		}
		return err
	}
}

// settings returns the text that sets what the driver sets when it connects. There are several if
// the DSN has several character sets: the first that the server takes is the one.
func (d dsn) settings() []string {
	charsets, _ := d.param("charset")
	collation := d.config.Collation
	switch {
	case charsets == "" && collation == "":
		charsets, collation = "utf8mb4", "utf8mb4_general_ci" // what the driver says in its handshake
	case charsets == "":
		charsets, _, _ = strings.Cut(collation, "_")
	}
	var rest strings.Builder
	if collation != "" {
		rest.WriteString(" COLLATE " + collation)
	}
	for _, name := range slices.Sorted(maps.Keys(d.config.Params)) {
		rest.WriteString(", " + name + " = " + d.config.Params[name])
	}
	var texts []string
	for charset := range strings.SplitSeq(charsets, ",") {
		texts = append(texts, "SET NAMES "+charset+rest.String())
	}
	return texts
}

// resetConnection sends COM_RESET_CONNECTION and reads the answer. Whoever calls it sees to it
// that the socket meets a deadline when ctx ends.
func resetConnection(ctx context.Context, socket net.Conn) error {
	// The driver leaves the deadline of its last readTimeout behind.
	if err := socket.SetDeadline(time.Time{}); err != nil {
		return err
	}
	// It may have been the caller's that was just removed.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	const length, command = 1, 0x1f
	if _, err := socket.Write([]byte{length, 0, 0, 0, command}); err != nil {
		return err
	}
	var head [4]byte // length of the packet, and its number
	if _, err := io.ReadFull(socket, head[:]); err != nil {
		return err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	const most = 4096 // bytes; an error has 512 of text
	if head[3] > 1 || n == 0 || n > most {
		return errNoAnswer
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(socket, body); err != nil {
		return err
	}
	// Packet 0 is no answer, but MySQL's last word before it hangs up: why.
	if head[3] == 0 && body[0] != failed {
		return errNoAnswer
	}
	return answer(body)
}

const ok, failed = 0x00, 0xff // how an answer begins

var errNoAnswer = fmt.Errorf("mysql: the answer to COM_RESET_CONNECTION is none: rows were left open: %w", gomysql.ErrPktSync)

// answer reads an OK or an error packet.
func answer(body []byte) error {
	switch {
	case body[0] == ok:
		return nil
	case body[0] != failed || len(body) < 3:
		return errNoAnswer
	}
	e := &gomysql.MySQLError{Number: binary.LittleEndian.Uint16(body[1:])}
	text := body[3:]
	if len(text) >= 6 && text[0] == '#' {
		copy(e.SQLState[:], text[1:])
		text = text[6:]
	}
	e.Message = string(text)
	return e
}
