package dae

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// named are the attributes that README.md has tables of.
var named = map[string]key{
	"Acct-Session-Id": {0, 44}, "Acct-Multi-Session-Id": {0, 50}, "User-Name": {0, 1}, "Calling-Station-Id": {0, 31},
	"Called-Station-Id": {0, 30}, "Framed-IP-Address": {0, 8}, "Framed-IPv6-Address": {0, 168}, "Framed-IPv6-Prefix": {0, 97},
	"NAS-Port": {0, 5}, "Class": {0, 25}, "Chargeable-User-Identity": {0, 89},
	"Session-Timeout": {0, 27}, "Idle-Timeout": {0, 28}, "Acct-Interim-Interval": {0, 85}, "NAS-Filter-Rule": {0, 92},
	"Termination-Action": {0, 29}, "WISPr-Bandwidth-Max-Up": {14122, 7}, "WISPr-Bandwidth-Max-Down": {14122, 8},
	"Mikrotik-Rate-Limit": {14988, 8},
}

// TestReadmeListsWhatCounts holds the tables of README.md to the code.
func TestReadmeListsWhatCounts(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	section := func(title string) string {
		_, rest, found := strings.Cut(string(text), "\n## "+title+"\n")
		if !found {
			t.Fatalf("no section %q", title)
		}
		body, _, _ := strings.Cut(rest, "\n## ")
		return body
	}
	row := regexp.MustCompile(`(?m)^\| ([A-Z][A-Za-z0-9-]+) \|`)
	listed := func(title string) map[key]bool {
		found := make(map[key]bool)
		for _, m := range row.FindAllStringSubmatch(section(title), -1) {
			k, known := named[m[1]]
			if !known {
				t.Errorf("%s lists %s, which the test does not know", title, m[1])
			}
			found[k] = true
		}
		return found
	}
	identify, change := listed("Which session"), listed("What changes")
	for kind := range identifiers {
		if !identify[key{0, kind}] {
			t.Errorf("attribute %d identifies sessions and is not listed", kind)
		}
	}
	for k := range changers {
		if !change[k] {
			t.Errorf("attribute %d of vendor %d changes sessions and is not listed", k.kind, k.vendor)
		}
	}
	if len(identify) != len(identifiers) || len(change) != len(changers) {
		t.Errorf("%d and %d attributes are listed, %d and %d count", len(identify), len(change), len(identifiers), len(changers))
	}
	causes := regexp.MustCompile(`(?m)^\| (\d{3}) ([A-Za-z-]+) \|`).FindAllStringSubmatch(section("Answers"), -1)
	if len(causes) != len(causeNames)-1 { // but for none
		t.Errorf("%d error causes are listed, there are %d", len(causes), len(causeNames)-1)
	}
	for _, m := range causes {
		found := false
		for c, name := range causeNames {
			found = found || m[1] == strconv.Itoa(int(c)) && name == strings.ToLower(m[2])
		}
		if !found {
			t.Errorf("%s %s is no Error-Cause of the code", m[1], m[2])
		}
	}
}
