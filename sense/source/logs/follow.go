package logs

// generation is one file under a path that is followed.
type generation struct{}
