package iprep

import (
	"strings"
	"testing"

	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const list = "# c2\n203.0.113.7,1,127\n192.0.2.0/24,2,10\n203.0.113.8,1,0\n203.0.113.9,61,5\n203.0.113.9,1,128\nspy.example,1,5\n203.0.113.9,1\n"

const categories = "1,C2,Known command and control\n2,Scan\nx,y,z\n"

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, list, `
address 203.0.113.7 100% (category 1)
prefix 192.0.2.0/24 7% (category 2)
4: a score of 0: nothing is known of the address
5: a category that is no number from 1 to 60
6: a score that is no number from 0 to 127
7: no address
8: a line that is not address, category and score
`)
}

func TestCategories(t *testing.T) {
	skipped := 0
	names, err := Categories(strings.NewReader(categories), func(int, string) { skipped++ })
	if err != nil || names[1] != "C2: Known command and control" || names[2] != "Scan" || skipped != 1 {
		t.Errorf("%v, %d skipped, %v", names, skipped, err)
	}
	formattest.Golden(t, intel.Format{Parse: Named(names)}, "203.0.113.7,1,64\n203.0.113.7,9,64\n", `
address 203.0.113.7 50% (C2: Known command and control)
address 203.0.113.7 50% (category 9)
`)
	formattest.Golden(t, CategoryFormat, "1,C2,x\n", "1: the name of a category, used with the reputation list beside it\n")
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{"203.0.113.7,1,127\n203.0.113.8,1,0\n"}, []string{"", "203.0.113.7\n", categories, "203.0.113.7,seen,1\n"})
	formattest.Sniffs(t, CategoryFormat, []string{"1,C2,Known\n"}, []string{"", list, "1,2,3\n"})
}

func FuzzParse(f *testing.F)      { formattest.Fuzz(f, Format, list) }
func FuzzCategories(f *testing.F) { formattest.Fuzz(f, CategoryFormat, categories) }
