package tuner

import (
	"os"
	"testing"

	"github.com/sockbench/sockbench/internal/quiet"
)

func TestMain(m *testing.M) { os.Exit(quiet.Run(m)) } // these tests burn CPU
