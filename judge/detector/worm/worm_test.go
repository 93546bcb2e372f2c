package worm

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/detector/detectortest"
)

func TestGolden(t *testing.T) { detectortest.Golden(t, Detector()) }
