package goid_test

import (
	"context"
	"runtime"
	"runtime/pprof"
	"testing"
	"testing/synctest"

	"github.com/lidopool/lido/internal/goid"
)

func TestInBubbleIsTrueInsideOnly(t *testing.T) {
	if goid.InBubble() {
		t.Error("InBubble() = true outside of synctest.Test")
	}
	synctest.Test(t, func(t *testing.T) {
		if !goid.InBubble() {
			t.Error("InBubble() = false inside synctest.Test")
		}
		child := make(chan bool)
		go func() { child <- goid.InBubble() }()
		if !<-child {
			t.Error("InBubble() = false in a goroutine started inside synctest.Test")
		}
	})
	if goid.InBubble() {
		t.Error("InBubble() = true after synctest.Test")
	}
}

func TestInBubbleSeesPastALockedThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if !goid.InBubble() {
			t.Error("InBubble() = false inside synctest.Test on a locked thread")
		}
	})
}

func TestInBubbleIsNotDeceivedByProfilerLabels(t *testing.T) {
	t.Setenv("GODEBUG", "tracebacklabels=1") // the default from Go 1.27 on
	labels := pprof.Labels("a", ", synctest bubble 1]", ", synctest bubble 2", "b")
	pprof.Do(context.Background(), labels, func(context.Context) {
		if goid.InBubble() {
			t.Error("InBubble() = true for a label that says so")
		}
		if got, want := goid.Current(), stackNumber(t); got != want {
			t.Errorf("Current() = %d under labels, want %d", got, want)
		}
	})
}
