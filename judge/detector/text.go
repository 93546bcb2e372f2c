package detector

import "fmt"

// Text writes an explanation as fmt.Sprintf does. Its arguments are int,
// int64, float64, string or Amount, and anything else is written as a question
// mark: of these it takes copies, so that what calls it only for a claim
// allocates nothing where there is none, not even for the arguments.
func Text(format string, args ...any) string {
	own := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case int:
			own[i] = a
		case int64:
			own[i] = a
		case float64:
			own[i] = a
		case string:
			own[i] = a
		case Amount:
			own[i] = a.In(a.Of)
		default:
			own[i] = "?"
		}
	}
	return fmt.Sprintf(format, own...)
}

// Amount is a number that In puts into words, if Text is asked at all.
type Amount struct {
	In func(float64) string
	Of float64
}
