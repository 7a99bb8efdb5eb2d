package page_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lidopool/lido/bench/internal/page"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
	"github.com/lidopool/lido/bench/internal/trial"
)

// A server and its clients are real here, and so is their time: tests wait for what they read, no longer than this.
const patience = 30 * time.Second

type server struct {
	*page.Live
	t       *testing.T
	address string
	client  *http.Client
}

func serve(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{page.Serve(l), t, "http://" + l.Addr().String(), &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		s.client.CloseIdleConnections()
	})
	return s
}

func (s *server) do(method, path, host string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.address+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	answer, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer, string(text)
}

type state struct {
	Words              string
	Done, All, Version int
	Percent            float64
	Ended              bool
	Content            *struct{ HTML string }
}

// events watches; next is the next state, and false if there is none any more.
func (s *server) events() (next func() (state, bool)) {
	s.t.Helper()
	answer, err := s.client.Get(s.address + "/events")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		s.t.Fatalf("GET /events: %s, %s", answer.Status, kind)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<24)
	return func() (st state, more bool) {
		for lines.Scan() {
			if text, is := strings.CutPrefix(lines.Text(), "data: "); is {
				if err := json.Unmarshal([]byte(text), &st); err != nil {
					s.t.Fatal(err)
				}
				return st, true
			}
		}
		if err := lines.Err(); err != nil {
			s.t.Fatal(err)
		}
		return st, false
	}
}

func TestALivePageShowsWhatIsPublished(t *testing.T) {
	s := serve(t)
	if _, text := s.do("GET", "/", ""); !strings.Contains(text, "Nothing has been measured yet.") || !strings.Contains(text, "The run has not begun yet") {
		t.Error("before the first result the page does not say that there is none")
	}
	f := resulttest.Rich()
	s.Publish(f, trial.Progress{Done: 10, All: 40, Left: 75 * time.Second, Now: "queue under cycle"})
	_, text := s.do("GET", "/", "")
	for _, want := range []string{
		`role="progressbar"`, `aria-valuenow="10"`, `aria-valuemax="40"`, `width: 25%`, "10 of 40 measured, about 1m15s left: queue under cycle",
		"connect-src &#39;self&#39;", "singleton in cycle",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	var got result.File
	if _, text := s.do("GET", "/result.json", ""); json.Unmarshal([]byte(text), &got) != nil || !cmp.Equal(got, f) {
		t.Errorf("/result.json is not what was published:\n%s", cmp.Diff(f, got))
	}
	if _, text := s.do("GET", "/content", ""); !strings.Contains(text, "singleton in cycle") {
		t.Error("/content does not show what was published")
	}
}

func TestWhoWatchesIsToldOfProgressAndOfTheEnd(t *testing.T) {
	s := serve(t)
	next := s.events()
	if st, _ := next(); st.Words != "The run has not begun yet" || st.Ended {
		t.Errorf("first told %+v", st)
	}
	one := resulttest.Empty()
	one.Cells = resulttest.Rich().Cells[:1]
	s.Publish(one, trial.Progress{Done: 1, All: 2})
	st, _ := next()
	if st.Done != 1 || st.All != 2 || st.Percent != 50 || st.Ended || st.Content != nil || st.Version != 1 {
		t.Errorf("told %+v, want one of two windows, and that there is something to be asked for", st)
	}
	s.Publish(resulttest.Rich(), trial.Progress{Done: 2, All: 2})
	if st, _ = next(); st.Words != "All 2 are measured" || st.Version != 2 || st.Ended {
		t.Errorf("told %+v, want that all is measured, and drawn at once", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	st, _ = next()
	if !st.Ended || st.Content == nil || !strings.Contains(st.Content.HTML, "singleton in cycle") {
		t.Errorf("at the end told %+v, want that it has ended, with the result", st.Words)
	}
	if st, more := next(); more {
		t.Errorf("after the end told %+v", st)
	}
}

// A page takes a while to load: what is published meanwhile is news to it.
func TestWhoBeginsToWatchIsToldOfWhatItsPageLacks(t *testing.T) {
	s := serve(t)
	if _, text := s.do("GET", "/", ""); !strings.Contains(text, `data-live="0"`) {
		t.Error("the page does not say which version it shows")
	}
	s.Publish(resulttest.Rich(), trial.Progress{Done: 1, All: 2})
	if st, _ := s.events()(); st.Version != 1 {
		t.Errorf("told of version %d, want 1", st.Version)
	}
	if _, text := s.do("GET", "/content", ""); !strings.Contains(text, `"version":1,`) || !strings.Contains(text, "singleton in cycle") {
		t.Error("/content is not that version")
	}
}

func TestCloseEndsStreamsThatNobodyReadsAndTheListener(t *testing.T) {
	s := serve(t)
	s.Publish(resulttest.Many(500), trial.Progress{Done: 1, All: 2})
	s.events() // and does not read
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Get(s.address); err == nil {
		t.Error("the listener is open after Close")
	}
	s.Publish(result.File{}, trial.Progress{}) // does nothing, and no harm
	if err := s.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

func TestCloseTellsWhatEndedTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := page.Serve(l)
	l.Close() // whoever did
	<-s.Served()
	if err := s.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close returned %v, want net.ErrClosed", err)
	}
}

func TestALivePageOnlyReads(t *testing.T) {
	s := serve(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		for _, path := range []string{"/", "/events", "/content", "/result.json"} {
			if answer, _ := s.do(method, path, ""); answer.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %s", method, path, answer.Status)
			}
		}
	}
	for _, path := range []string{"/", "/events", "/content", "/result.json"} {
		if answer, text := s.do("HEAD", path, ""); answer.StatusCode != http.StatusOK || text != "" {
			t.Errorf("HEAD %s: %s, %q", path, answer.Status, text)
		}
	}
	if answer, _ := s.do("GET", "/other", ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("GET /other: %s", answer.Status)
	}
}

func TestALivePageAnswersOnlyToItsOwnNames(t *testing.T) {
	s := serve(t)
	port := s.address[strings.LastIndexByte(s.address, ':'):]
	for host, want := range map[string]int{
		"localhost" + port: 200, "LocalHost": 200, "localhost:9999": 200, // as behind ssh -L
		"127.0.0.1" + port: 200, "127.8.8.8": 200, "[::1]" + port: 200, "::ffff:127.0.0.1": 200,
		"evil.example" + port: 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "10.0.0.7" + port: 403,
		"localhost.": 403, "[::]" + port: 403, "0.0.0.0" + port: 403,
	} {
		for _, path := range []string{"/", "/content", "/result.json"} {
			answer, text := s.do("GET", path, host)
			if answer.StatusCode != want {
				t.Errorf("Host %s, %s: %s, want %d", host, path, answer.Status, want)
			}
			if want == 403 && strings.Contains(text, "script") {
				t.Errorf("Host %s, %s: refused, with %s", host, path, text)
			}
		}
	}
}

func TestAListenerOnAllAddressesAnswersToThoseThatReachIt(t *testing.T) {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := &server{page.Serve(l), t, "http://127.0.0.1:" + port, &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	defer s.Close()
	for host, want := range map[string]int{"127.0.0.1": 200, "localhost": 200, "10.1.2.3": 403, "evil.example": 403} {
		if answer, _ := s.do("GET", "/result.json", host); answer.StatusCode != want {
			t.Errorf("Host %s: %s, want %d", host, answer.Status, want)
		}
	}
	own := address(t)
	s.address = "http://" + net.JoinHostPort(own, port)
	for host, want := range map[string]int{"": 200, own: 200, "10.1.2.3": 403, "evil.example": 403} {
		if answer, _ := s.do("GET", "/result.json", host); answer.StatusCode != want {
			t.Errorf("at %s, Host %q: %s, want %d", own, host, answer.Status, want)
		}
	}
}

// address is one of the machine's that is not loopback. If it has none the rest of the test is skipped.
func address(t *testing.T) string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, is := a.(*net.IPNet); is && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback: run this with a network")
	return ""
}

func TestALivePageLetsNoOtherSiteIn(t *testing.T) {
	s := serve(t)
	answer, _ := s.do("GET", "/", "")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "", "Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	policy := answer.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") || !strings.HasSuffix(policy, "; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'") {
		t.Errorf("the policy is %s", policy)
	}
}

func TestMoreThanSomeMayNotWatch(t *testing.T) {
	s := serve(t)
	for range 32 {
		s.events()
	}
	if answer, _ := s.do("GET", "/events", ""); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the 33rd: %s", answer.Status)
	}
}

// What is published belongs to the run, which goes on to change it.
func TestPublishKeepsNothingOfWhatItGets(t *testing.T) {
	f := resulttest.Rich()
	f.Cells[0].Median.Errors = map[string]uint64{"timeout": 1}
	f.Summary = []string{"a"}
	copied := page.Clone(f)
	if !cmp.Equal(copied, f) {
		t.Fatalf("the copy differs: %s", cmp.Diff(f, copied))
	}
	seen := map[uintptr]string{}
	pointers(reflect.ValueOf(f), "File", func(p uintptr, path string) { seen[p] = path })
	shared := 0
	pointers(reflect.ValueOf(copied), "File", func(p uintptr, path string) {
		if was, both := seen[p]; both {
			shared++
			t.Errorf("%s is shared with %s", path, was)
		}
	})
	if len(seen) < 100 {
		t.Errorf("saw only %d slices and maps", len(seen))
	}
}

// pointers visits all that a value can share with a copy.
func pointers(v reflect.Value, path string, visit func(uintptr, string)) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			pointers(v.Field(i), path+"."+v.Type().Field(i).Name, visit)
		}
	case reflect.Slice:
		if v.Len() > 0 {
			visit(v.Pointer(), path)
		}
		for i := range v.Len() {
			pointers(v.Index(i), path+"[]", visit)
		}
	case reflect.Map:
		if v.Len() > 0 {
			visit(v.Pointer(), path)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			visit(v.Pointer(), path)
		}
	}
}

func TestPagesAreTheSameForTheSameResult(t *testing.T) {
	var a, b bytes.Buffer
	for _, to := range []*bytes.Buffer{&a, &b} {
		if err := page.Write(to, resulttest.Rich()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two pages of the same result differ")
	}
}
