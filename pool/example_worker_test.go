package pool_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// worker is a process that answers each line with one.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startWorker starts one. It outlives ctx, which bounds only the start.
func startWorker(context.Context) (*worker, error) {
	cmd := exec.Command("cat")
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	return &worker{cmd, in, bufio.NewReader(out)}, cmd.Start()
}

func (w *worker) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(w.in, line); err != nil {
		return "", err
	}
	return w.out.ReadString('\n')
}

// stop ends the worker by ending its input, and waits for it.
func (w *worker) stop() error { return errors.Join(w.in.Close(), w.cmd.Wait()) }

// Worker processes: a ping that is a question, and a death that shows in every answer.
func ExampleNew_workerProcess() {
	backend := pool.Funcs[*worker]{
		OpenFunc:     startWorker,
		PingFunc:     func(_ context.Context, w *worker) error { _, err := w.ask("ping"); return err },
		CloseFunc:    (*worker).stop,
		ClassifyFunc: func(error) pool.Fault { return pool.Dead },
	}
	p, err := pool.New(backend, strategies.Queue{Size: 2}, pool.Options{Ping: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	for _, question := range []string{"first", "second", "third"} {
		err := p.Do(context.Background(), func(_ context.Context, w *worker) error {
			answer, err := w.ask(question)
			fmt.Print(answer)
			if question == "first" {
				return w.cmd.Process.Kill() // as the kernel's out-of-memory killer might
			}
			return err
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(p.Stats().Opened, "processes")
	// Output:
	// first
	// second
	// third
	// 2 processes
}
