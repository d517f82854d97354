package secrets

import (
	"bytes"
	"fmt"
	"time"
)

// settleTime is how long a file is taken for half written that ends within a
// line.
const settleTime = 2 * time.Second

// TornError tells that a file which was read before looks like the half of a
// write: the users of before stay in force.
type TornError struct{ Path, Problem string }

func (e *TornError) Error() string {
	return fmt.Sprintf("%s %s, as a write that was cut off leaves it: the users of before stay in force; write the file anew, \"bridgehead users\" does it in one step", e.Path, e.Problem)
}

// torn tells whether the text is what a write in place leaves behind that is
// under way, or was cut off by a crash or a full disk. Programs that rename
// a new file into place never cause it. A cut at the end of a line can't be
// seen.
func (f *File) torn(text []byte, written stamp) error {
	problem := ""
	tail := text[bytes.LastIndexByte(text, '\n')+1:]
	switch {
	case len(text) == 0:
		problem = "is empty"
	case bytes.IndexByte(text, 0) >= 0:
		problem = "holds NUL octets"
	case len(tail) == 0:
	case f.options.Now().Sub(written.modified).Abs() < settleTime:
		problem = "ends within a line"
	case f.options.Format == UsersFile:
		if _, fault := parseUser(tail); fault != nil {
			problem = "ends within a line"
		}
	}
	if problem == "" {
		return nil
	}
	return &TornError{Path: f.path, Problem: problem}
}
