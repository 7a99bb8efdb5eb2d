package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/trial"
)

const (
	// How often at most what has come in is drawn for those who watch: drawing takes time from the run.
	redraw = time.Second
	// How often at most those who watch are told how far it is.
	tick = 200 * time.Millisecond
	// A stream without news says that it is alive, so that one that has gone is found out.
	beat = 15 * time.Second
	// How long a client may take to read. One that takes longer is cut off.
	patience = 10 * time.Second
	// How long Close waits for clients to read the end.
	farewell = time.Second
	// How many may watch at once: more are refused. Arbitrary; a browser needs one.
	mostStreams = 32
)

// A Live serves the result of a run that goes on: the same page as Write's, which follows the run. Its methods may be
// called from any goroutine.
type Live struct {
	server *http.Server
	served chan struct{} // closed when the server has ended, of which ended says why
	ended  error
	done   chan struct{}
	close  sync.Once
	err    error
	after  sync.WaitGroup // streams

	mu      sync.Mutex
	file    result.File
	version int // of file: how often something was published
	state   state
	drawn   content   // of some version, which is what those who watch are told of
	drawnAt time.Time // by Publish
	streams int
	changed chan struct{} // closed when there is news
}

// A state is how far a run is.
type state struct {
	Words   string  `json:"words"`
	Done    int     `json:"done"`
	All     int     `json:"all"`
	Percent float64 `json:"percent"`
	Version int     `json:"version"` // of the content that is worth asking for
	Ended   bool    `json:"ended"`
	// Content comes with the end: when it has been told the program may go.
	Content *content `json:"content,omitempty"`
}

// A content is what a page shows of a result, for a page that is there.
type content struct {
	Version int     `json:"version"`
	HTML    string  `json:"html"`
	Charts  drawing `json:"charts"`
}

// Serve begins to serve on l, which it closes at Close. It answers GET and HEAD of who addresses it by a loopback name
// or the address of l, and nobody else: no page of another site can read it, whatever its name resolves to. It has no secrets
// but the results.
func Serve(l net.Listener) *Live {
	s := &Live{served: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{})}
	s.state = stateOf(trial.Progress{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /content", s.content)
	mux.HandleFunc("GET /result.json", s.result)
	s.server = &http.Server{
		Handler: s.guard(mux),
		// No ReadTimeout: it would end the streams. There are no bodies to be read.
		ReadHeaderTimeout: patience, WriteTimeout: patience, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 14,
		// What goes wrong goes wrong for a client; the terminal has the progress of the run.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		s.ended = s.server.Serve(l)
		close(s.served)
	}()
	return s
}

// Publish shows f to all who look, from now on; after Close it does nothing. It copies what it keeps. If somebody watches it draws, outside of the
// windows if it is called between them, once in a while.
func (s *Live) Publish(f result.File, p trial.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Ended {
		return
	}
	s.file, s.state = clone(f), stateOf(p)
	s.version++
	if s.streams > 0 && (time.Since(s.drawnAt) >= redraw || p.Done >= p.All) {
		s.drawLocked()
		s.drawnAt = time.Now()
	}
	s.tellLocked()
}

// Close ends it: those who watch are told that the run has ended, and keep what they have. It returns
// when all is over, after a second or so at most, with the error that ended the server before, if one did.
func (s *Live) Close() error {
	s.close.Do(func() {
		s.mu.Lock()
		s.state.Ended = true
		s.state.Words = fmt.Sprintf("%d of %d measured", s.state.Done, s.state.All)
		s.drawLocked()
		s.tellLocked()
		s.mu.Unlock()
		close(s.done)
		// Shutdown closes the listener and lets the streams end; Close cuts off who does not read.
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		closing := s.server.Shutdown(ctx)
		if errors.Is(closing, context.DeadlineExceeded) {
			closing = s.server.Close()
		}
		s.after.Wait()
		<-s.served
		if s.err = s.ended; errors.Is(s.err, http.ErrServerClosed) {
			s.err = closing
		}
	})
	return s.err
}

func stateOf(p trial.Progress) state {
	s := state{Done: p.Done, All: max(p.All, 1)}
	s.Percent = 100 * float64(s.Done) / float64(s.All)
	switch {
	case p.All == 0:
		s.Words = "The run has not begun yet"
	case p.Done >= p.All:
		s.Words = fmt.Sprintf("All %d are measured", p.All)
	default:
		s.Words = fmt.Sprintf("%d of %d measured", p.Done, p.All)
		if p.Left > 0 {
			s.Words += ", about " + p.Left.Round(time.Second).String() + " left"
		}
		if p.Now != "" {
			s.Words += ": " + p.Now
		}
	}
	return s
}

func (s *Live) tellLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// drawLocked makes drawn what the file is, unless it is that already.
func (s *Live) drawLocked() {
	if s.drawn.HTML != "" && s.drawn.Version == s.version {
		return
	}
	v := newView(s.file)
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "content", document{view: v}); err != nil {
		panic("page: " + err.Error()) // the template is wrong, whatever the data
	}
	s.drawn = content{s.version, b.String(), v.Charts}
}

// guard lets through who addresses us by a name that is ours. A page of another site whose name
// resolves to us, because its owner made it so, still says the name of the site.
func (s *Live) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		if !ours(r) {
			http.Error(w, "lidobench answers to localhost, a loopback address, or the address that it listens on", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func ours(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if a = a.Unmap().WithZone(""); a.IsLoopback() {
		return true
	}
	// The address that this connection was made to is one of the listener's.
	local, known := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !known {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && a == at.Addr().Unmap().WithZone("")
}

func (s *Live) page(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f, now := s.file, s.state
	now.Version = s.version
	s.mu.Unlock()
	d := document{Live: true, Policy: policy("; connect-src 'self'"), State: now}
	var b bytes.Buffer
	if err := write(&b, f, d); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", d.Policy+"; frame-ancestors 'none'")
	w.Write(b.Bytes())
}

func (s *Live) result(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.file
	s.mu.Unlock()
	reply(w, f)
}

func (s *Live) content(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.drawn.HTML == "" {
		s.drawLocked()
	}
	c := s.drawn
	s.mu.Unlock()
	reply(w, c)
}

func reply(w http.ResponseWriter, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

// events is a stream of states, the last of which says that the run has ended.
func (s *Live) events(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "too many watch already", http.StatusServiceUnavailable)
		return
	}
	defer s.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	send := func(text string) bool {
		// What cannot be set was not promised: then the server's own timeout ends the stream.
		out.SetWriteDeadline(time.Now().Add(patience))
		_, err := io.WriteString(w, text)
		return err == nil && out.Flush() == nil
	}
	for {
		s.mu.Lock()
		now, changed := s.state, s.changed
		now.Version = s.drawn.Version
		if now.Ended {
			last := s.drawn
			now.Content = &last
		}
		s.mu.Unlock()
		text, err := json.Marshal(now)
		if err != nil || !send("data: "+string(text)+"\n\n") || now.Ended {
			return
		}
		pause := time.NewTimer(tick)
		select {
		case <-pause.C:
		case <-s.done:
		case <-r.Context().Done():
		}
		pause.Stop()
		for waiting := true; waiting; {
			alive := time.NewTimer(beat)
			select {
			case <-changed:
				waiting = false
			case <-alive.C:
				if !send(": alive\n\n") {
					return
				}
			case <-r.Context().Done():
				return
			}
			alive.Stop()
		}
	}
}

// enter counts a stream in, unless there are too many or it is over.
func (s *Live) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return false
	default:
	}
	if s.streams == mostStreams {
		return false
	}
	s.streams++
	s.after.Add(1)
	s.drawLocked() // what was published since its page was made nobody would tell it of
	return true
}

func (s *Live) leave() {
	s.mu.Lock()
	s.streams--
	s.mu.Unlock()
	s.after.Done()
}
