package clients

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
)

// dayTest leaves each emulated client alone for a day of a fake clock; there
// is no data plane in it.
const dayTest = "TestADayOfEachClient"

var (
	dayOutcome = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL): ` + dayTest + `/(\S+) `)
	dayRekeys  = regexp.MustCompile(`(?m)^=== (?:NAME|RUN) +` + dayTest + `/(\S+)$|rekeys in a day: (\d+) of the Child SA, (\d+) of the IKE SA`)
)

// idleDays gives the cell "idle a day" of each emulated client: from the file
// that $IDLE_DAYS names, or by running the test, once.
var idleDays = sync.OnceValue(func() map[string]string {
	days := make(map[string]string)
	if name := os.Getenv("IDLE_DAYS"); name != "" {
		text, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(text, &days)
		}
		if err != nil {
			return map[string]string{"": err.Error()}
		}
		return days
	}
	out, err := exec.Command("go", "test", "-count", "1", "-v", "-run", "^"+dayTest+"$", "bridgehead/ikev2").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n%s\n", dayTest, err, out)
	}
	rekeys, of := make(map[string]string), ""
	for _, found := range dayRekeys.FindAllStringSubmatch(string(out), -1) {
		if found[1] != "" {
			of = found[1]
			continue
		}
		rekeys[of] = fmt.Sprintf("%s Child and %s IKE rekeys", found[2], found[3])
	}
	for _, found := range dayOutcome.FindAllStringSubmatch(string(out), -1) {
		days[found[2]] = "ok, " + rekeys[found[2]]
		if found[1] == "FAIL" {
			days[found[2]] = "FAILED"
		}
	}
	return days
})
