package page_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"
)

func TestTheChartsAreThoseThatTheBuildScriptMakes(t *testing.T) {
	text, err := os.ReadFile("vendor/echarts.min.js")
	if err != nil {
		t.Fatal(err)
	}
	const want = "4b7cff9d63b579a26698d9e66be4462104cb404be182da908540ad8a77518752"
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
		t.Errorf("vendor/echarts.min.js has the SHA-256 %x, want %s: who changes its entry or a version runs `make echarts` and notes here what it says", sum, want)
	}
}
