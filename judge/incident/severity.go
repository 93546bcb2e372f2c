package incident

import (
	"github.com/testudo-shield/testudo"
)

// severity is the table by which one sighting is graded: what sort of attack,
// how far it got, how sure we are. Medium asks a person to act, so whatever
// goes on all day on the Internet without success stays below it.
func severity(s *testudo.Sighting) testudo.Severity { return min(grade(s.Score()), ceiling(s)) }

// likely is the probability from which on a person is asked: more likely than
// not by a margin, as the weights are known to no better.
const likely = 0.55

// grade is the severity that a probability allows.
func grade(p float64) testudo.Severity {
	switch {
	case p >= 0.9:
		return testudo.High
	case p >= likely:
		return testudo.Medium
	}
	return testudo.Low
}

// ceiling is the highest grade a sighting of its kind and outcome can have.
func ceiling(s *testudo.Sighting) testudo.Severity {
	switch s.Kind {
	case testudo.Policy:
		return testudo.Low
	case testudo.Scan:
		return [...]testudo.Severity{testudo.Noise: testudo.Info, testudo.Attempt: testudo.Low, testudo.Success: testudo.Medium}[s.Outcome]
	case testudo.Intrusion:
		return [...]testudo.Severity{testudo.Noise: testudo.Info, testudo.Attempt: testudo.Medium, testudo.Success: testudo.High}[s.Outcome]
	case testudo.Espionage, testudo.Flood:
		return [...]testudo.Severity{testudo.Noise: testudo.Low, testudo.Attempt: testudo.Medium, testudo.Success: testudo.High}[s.Outcome]
	}
	return testudo.High
}

// raise makes a grave incident critical: several machines of ours, and several
// detectors that are each sure.
func raise(s testudo.Severity, inc *testudo.Incident) testudo.Severity {
	if s < testudo.High {
		return s
	}
	detectors := map[string]bool{}
	for i := range inc.Sightings {
		if severity(&inc.Sightings[i]) >= testudo.High {
			detectors[inc.Sightings[i].Detector] = true
		}
	}
	if len(detectors) >= 2 && len(inc.Victims) >= 3 {
		return testudo.Critical
	}
	return s
}

// urgency orders the queue of a person with little time: severity first, then
// confidence, then how many machines of ours are hit.
func urgency(inc *testudo.Incident) int {
	u := 20*int(inc.Severity) + int(inc.Confidence*12) + min(5, len(inc.Victims))
	for i := range inc.Sightings {
		if inc.Sightings[i].Outcome == testudo.Success {
			u += 3
			break
		}
	}
	return min(100, u)
}
