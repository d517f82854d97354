package regressions

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// fault is one that another gateway had.
type fault struct {
	id    string // a CVE, or who had it
	what  string
	tests []string // package below the module, a colon, and the test's name
}

var faults = []fault{
	{"CVE-2026-35333", "RADIUS attributes of length 0 or 1: an endless loop, and reading beyond the packet", []string{
		"radius:TestOnlyAuthenticRepliesCount", "radius:TestVendorAttributes", "radius:FuzzVerify", "radius:FuzzAttributes",
	}},
	{"CVE-2026-78134", "access and accounting by an identity that was not the verified one", []string{
		"ikev2:TestCVE2026_78134_TheVerifiedNameAloneCounts", "auth/mschapv2:TestRefusals",
	}},
	{"CVE-2026-78133, -78135", "a Child SA before the login is complete", []string{
		"ikev2:TestCVE2026_78133_ChildSABeforeTheLoginIsComplete", "ikev2:TestCVE2026_78133_SelectorsBesideEAP",
		"ikev2:TestNothingButTheLoginBeforeItIsComplete", "ikev2:TestLoginOutOfOrderIsRefused",
	}},
	{"CVE-2021-45079", "EAP-Success before the method has ended, or without a key", []string{
		"ikev2:TestCVE2021_45079_EarlyEAPSuccess", "ikev2:TestBackendThatMisbehaves", "ikev2/initiator:TestGatewayIsNotTrusted",
		"radius:TestHowServersEndALogin", "radius:TestAnAcceptIsOneOnlyWithProofAndKeys",
	}},
	{"CVE-2015-8023", "EAP-MSCHAPv2: the Success op-code in place of a Response", []string{
		"ikev2:TestCVE2015_8023_SuccessWithoutResponse", "auth/mschapv2:TestEveryPacketInEveryState", "auth/mschapv2:TestAnyPacketsNeverForgeSuccess",
	}},
	{"CVE-2014-9221", "a key exchange of the private group 1025", []string{
		"ikev2:TestCVE2014_9221_PrivateGroup", "ikev2/suite:TestGroupThatIsNotImplemented",
	}},
	{"CVE-2014-2338", "rekeying an IKE SA before its login is complete", []string{
		"ikev2:TestCVE2014_2338_RekeyOfALoginThatIsNotComplete",
	}},
	{"CVE-2013-6075", "identities that are not what their type says", []string{
		"ikev2:TestCVE2013_6075_CraftedIdentities", "ikev2/message:TestIdentitiesAsText", "ikev2/message:TestIdentitiesNeverCarryControlCharacters",
	}},
	{"CVE-2013-6076", "fragments whose numbers make no sense", []string{
		"ikev2:TestCVE2013_6076_CraftedFragments", "ikev2:TestHostileFragments", "ikev2/exchange:TestReassemblerRules", "ikev2/message:TestMalformedMessages",
	}},
	{"strongSwan 5.6.2", "a session key shorter than 64 octets with some PRFs", []string{
		"ikev2:TestSessionKeyOfEachLengthWithEachPRF", "ikev2:TestSessionKeyLengths", "radius:TestHowServersEndALogin",
	}},
	{"strongSwan 5.7.2", "addresses that RADIUS lent, and the client did not take, are never told free", []string{
		"ikev2:TestLentAddressesAreToldFree",
	}},
	{"strongSwan #2833", "an empty EAP identity, as Android sends it", []string{
		"auth/mschapv2:TestEmptyIdentityIsReplacedByTheName",
	}},
	{"strongSwan #3072", "only the first certificate of a file is sent", []string{
		"cmd/bridgehead/internal/pki:TestChainIsFoundAndOrdered",
	}},
	{"strongSwan, stroke", "one bad line of ipsec.secrets loses those behind it", []string{
		"auth/secrets:TestIPsecSecretsProblems",
	}},
	{"libreswan #405", "without rekeys by the gateway, sessions end after an hour", []string{
		"ikev2:TestADayWithoutRekeying",
	}},
	{"import", "a configuration that lost its line breaks, read by halves", []string{
		"cmd/bridgehead/internal/strongswan:TestRefused",
	}},
	{"import", "an empty list that means everything, as leftsubnet=,", []string{
		"cmd/bridgehead/internal/strongswan:TestEmptyValues", "cmd/bridgehead/internal/strongswan:TestNoRuleWritesAnEmptyValue",
	}},
}

// TestRegressions runs each test of the table and prints what came of it.
func TestRegressions(t *testing.T) {
	byPackage := make(map[string][]string)
	for _, f := range faults {
		for _, test := range f.tests {
			pkg, name, ok := strings.Cut(test, ":")
			if !ok || len(f.tests) == 0 {
				t.Fatalf("%s: %q names no test", f.id, test)
			}
			byPackage[pkg] = append(byPackage[pkg], name)
		}
	}
	results := make(map[string]string) // by package:test
	for pkg, names := range byPackage {
		for name, result := range run(t, pkg, names) {
			results[pkg+":"+name] = result
		}
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tWHAT\tTEST\tRESULT")
	for _, f := range faults {
		id, what := f.id, f.what
		for _, test := range f.tests {
			result := results[test]
			if result == "" {
				result = "no such test"
			}
			if result != "PASS" {
				t.Errorf("%s: %s: %s", f.id, test, result)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", id, what, strings.Replace(test, ":", " ", 1), result)
			id, what = "", ""
		}
	}
	_ = w.Flush() // into memory
	fmt.Print(table.String())
}

var outcome = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\w+) `)

// run gives the result of tests of one package by their names.
func run(t *testing.T, pkg string, names []string) map[string]string {
	t.Helper()
	slices.Sort(names)
	out, err := exec.Command("go", "test", "-count", "1", "-v", "-run", "^("+strings.Join(slices.Compact(names), "|")+")$", "bridgehead/"+pkg).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", pkg, err, tail(out))
	}
	results := make(map[string]string)
	for _, m := range outcome.FindAllSubmatch(out, -1) {
		results[string(m[2])] = string(m[1])
	}
	return results
}

// tail is the end of an output, where the fault stands.
func tail(out []byte) []byte {
	const enough = 4000
	return out[max(0, len(out)-enough):]
}
