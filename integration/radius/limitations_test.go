package radius_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// limitation is one that was read in the source of strongSwan's eap-radius, and
// how this gateway does better.
type limitation struct {
	number       int // as they were found
	what         string
	theirs, ours string
	tests        []string // that show ours: package below the module, a colon, the test's name
}

var limitations = []limitation{
	{1, "slow servers", "one request per socket, one socket by default; each blocks a thread of 16 for up to 14.2 s",
		"255 requests a socket, sockets as needed, and nobody else waits", []string{
			"radius:TestHundredsInFlightOverSeveralSockets", "radius:TestASlowServerIsNotADeadOne", "integration/radius:TestHundredsOfUsersWaitOnASlowServer",
		}},
	{2, "an outage", "looks to the user like a wrong password",
		"has its own verdict, with the server and how long it was silent; never an EAP-Failure", []string{
			"radius:TestAnOutageIsNeverARefusal", "auth/mschapv2:TestOutageIsNoWrongPassword", "integration/peers:TestRADIUSRefusalsAreExplained",
		}},
	{3, "failover", "not within a login; a server is down if the last request got no answer",
		"Status-Server and answers tell the health; a login whose server dies starts over with the next", []string{
			"radius:TestAServerThatDiesMidwayLeadsToTheNext", "radius:TestTheNextServerTakesOver", "radius:TestADeadServerIsFoundAndComesBack",
			"integration/radius:TestTheNextServerTakesOverFromARealOneThatDies",
		}},
	{4, "a forged reply", "ends the login at once; identifiers are sequential on long-lived sockets",
		"is counted and discarded, and the wait goes on; identifiers are not used again while an answer may come", []string{
			"radius:TestForgedRepliesAreCountedAndTheWaitGoesOn", "radius:TestNoIdentifierIsUsedAgainWhileItsAnswerMayCome", "integration/radius:TestForgedReplies",
		}},
	{5, "Message-Authenticator", "last in requests, required only beside an EAP-Message; an Accept needs no EAP-Success",
		"first in every request, required in every reply; an Accept needs EAP-Success and keys", []string{
			"radius:TestRequestsAreSignedFirst", "radius:TestOnlyAuthenticRepliesCount", "radius:TestHowServersEndALogin",
		}},
	{6, "accounting that is down", "a Start without answer deletes the session; a lost Stop is lost for ever",
		"records are on disk before they count, go out in order, and are tried for days", []string{
			"radius/accounting:TestOutage", "radius/accounting:TestOrder", "ikev2:TestLoginWaitsForItsAccount", "integration/peers:TestAccountingOfAFileUser",
		}},
	{7, "after a crash", "no Accounting-On or -Off: RADIUS keeps dead sessions",
		"each open session gets its Stop, On and Off frame each run", []string{
			"radius/accounting:TestCrash", "radius/accounting:TestKilledAtAnyPoint", "integration/peers:TestAccountingSurvivesKills",
		}},
	{8, "why a session ended", "User-Request also where an operator, RADIUS or a shutdown ended it",
		"each cause has its value; every session has one Stop", []string{
			"integration/radius:TestTerminateCauses", "radius/accounting:TestEveryCauseHasATermination", "ikev2:TestAccountOfASession",
		}},
	{9, "dynamic authorization", "sessions by User-Name alone, with wildcards; answers from a cache before the request is verified; no Error-Cause, no replay check, IPv4",
		"sessions by any attribute, all must match; cache behind verification; Event-Timestamp window; Error-Cause; IPv6 and TLS", []string{
			"radius/dae:TestWhichSessionIsMeant", "radius/dae:TestErrorCauses", "radius/dae:TestCacheIsBehindVerification", "radius/dae:TestReplay",
			"radius/dae:TestNothingBeforeVerification", "radius/dae:TestUDP", "radius/dae:TestTLS", "integration/peers:TestFreeRADIUSDisconnects",
		}},
	{10, "attributes of Access-Accept", "User-Name, Reply-Message, Idle-Timeout, pools, routes, filters, rates and others are ignored",
		"each has its effect or a documented reason why not", []string{
			"radius:TestEveryAttributeHasAnEffectOrAReason", "radius:TestAttributesToGrant", "integration/radius:TestEveryAttributeFromFreeRADIUS", "ikev2:TestGrantReachesTheClient", "ikev2:TestSessionAndIdleTimeout",
		}},
	{11, "attributes sent", "never Framed-MTU, Connect-Info, Acct-Authentic, Acct-Delay-Time, Event-Timestamp, Acct-Multi-Session-Id",
		"all of them; the session id of the log stands in Acct-Session-Id and Connect-Info", []string{
			"integration/peers:TestSeedOverRADIUS", "integration/radius:TestRecordsSayAllThatAServerCanUse", "radius/accounting:TestOutage",
		}},
	{12, "addresses from RADIUS", "only where the pool is named radius; no Framed-Pool",
		"Framed-IP if given, else Framed-Pool, else the default pool", []string{
			"ikev2:TestGrantReachesTheClient", "ikev2:TestFixedAddressOfAnother", "radius:TestAttributesToGrant",
		}},
	{13, "servers by realm", "one set for all", "groups by realm", []string{
		"radius:TestRealmsHaveTheirServers", "radius:TestNamesAndRealmsOfAnswers",
	}},
	{14, "transport and secrets", "no TLS; secrets in the main configuration",
		"RADIUS over TLS 1.2 and 1.3 with certificates at both ends; secrets in files of their own or from systemd, never printed", []string{
			"integration/radius:TestWaysToServer", "integration/radius:TestTLSTrustsOnlyWhomItShould", "integration/radius:TestATLSConnectionThatEndsIsMadeAgain",
			"radius:TestSecretsNeverPrint",
		}},
	{15, "figures of a server", "none but an alert", "round trip, retransmissions, timeouts, discarded replies, requests in flight, of each", []string{
		"radius:TestRetransmissionsAreTheSameOctets", "radius:TestForgedRepliesAreCountedAndTheWaitGoesOn", "radius:TestHundredsInFlightOverSeveralSockets",
	}},
	{16, "NAS-Port", "a new one after each rekey of the IKE SA, so that one session is counted as two",
		"made of the session's id, which stays over rekeys and moves", []string{
			"ikev2:TestAccountOfASession", "integration/radius:TestRecordsSayAllThatAServerCanUse",
		}},
}

// TestLimitations holds the table to the sources, and with -v prints it.
func TestLimitations(t *testing.T) {
	exist := testsOf(t)
	var table strings.Builder
	table.WriteString("| | strongSwan's eap-radius | bridgehead | shown by |\n|---|---|---|---|\n")
	if len(limitations) != 16 {
		t.Errorf("%d limitations, expected all 16", len(limitations))
	}
	for i, l := range limitations {
		if l.number != i+1 || len(l.tests) == 0 {
			t.Errorf("%d, %s: out of order, or shown by nothing", l.number, l.what)
		}
		for _, name := range l.tests {
			if !exist[name] {
				t.Errorf("%d, %s: there is no test %s", l.number, l.what, name)
			}
		}
		fmt.Fprintf(&table, "| %d. %s | %s | %s | `%s` |\n", l.number, l.what, l.theirs, l.ours, strings.Join(l.tests, "` `"))
	}
	t.Logf("\n%s", table.String())
}

// testsOf names the tests of the whole module, as limitation.tests does.
func testsOf(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(out))
	names := make(map[string]bool)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[filepath.ToSlash(folder)+":"+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
