//go:build !lido_portable

package strategies_test

import (
	"os/exec"
	"testing"
)

// Goroutines are told apart in two ways, by the runtime's own word or by public API; a program gets
// one of them. The singleton must work with both.
func TestSingletonPassesWithThePortableGoroutineIdentity(t *testing.T) {
	args := []string{"test", "-tags=lido_portable", "-short", "-run=Singleton", "-count=1", "."}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Errorf("go %v: %v\n%s", args, err, out)
	}
}
