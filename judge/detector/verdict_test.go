package detector

import (
	"testing"

	"github.com/testudo-shield/testudo"
)

func TestVerdict(t *testing.T) {
	weigh := func(telling bool) Verdict {
		v := Verdict{Telling: telling}
		v.Add(testudo.Base, -5.004, "few")
		v.Add(testudo.Volume, 0.004, "too little to print")
		v.Add(testudo.Timing, 2.346, "%d gaps", 7)
		e := v.Evidence()
		e.Say(1.5, "%s", "one")
		e.Say(0.25, "%d", 2)
		v.Put(testudo.Naming, e.Weight, e.Text)
		return v
	}
	silent, told := weigh(false), weigh(true)
	if silent.Reasons != nil || silent.Logit() != told.Logit() {
		t.Errorf("silent: %v %v, want none and %v", silent.Reasons, silent.Logit(), told.Logit())
	}
	if len(told.Reasons) != 3 || told.Reasons[2].Text != "one; 2" || told.Logit() != testudo.SumReasons(told.Reasons) {
		t.Errorf("told: %v %v", told.Reasons, told.Logit())
	}
	if n := testing.AllocsPerRun(100, func() { weigh(false) }); n != 0 {
		t.Errorf("%v allocations for a verdict that nobody tells", n)
	}
}
