package detector

import (
	"fmt"
	"testing"
)

func TestText(t *testing.T) {
	km := func(x float64) string { return fmt.Sprintf("%.0f km", x) }
	want := "7 of 8 in 1.50, a name, 12 km, ?"
	if got := Text("%d of %d in %.2f, %s, %s, %s", 7, int64(8), 1.5, "a name", Amount{km, 12}, struct{}{}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	n, x, told := 300, 1.5, false
	if got := testing.AllocsPerRun(100, func() {
		n, x = n+1, x+1
		note(told, "%d %f %s", n, x, Amount{km, x})
	}); got != 0 {
		t.Errorf("%v allocations for a text that nobody wants", got)
	}
}

func note(told bool, format string, args ...any) string {
	if !told {
		return ""
	}
	return Text(format, args...)
}
