package peers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// seedDirective is what the documented setup says and the tests that hold the
// gateway to it, each as package:name; those without a package stand here.
type seedDirective struct{ says, tests string }

var seedDirectives = []seedDirective{
	{"the three files as they stand", "TestSeed cmd/bridgehead:TestImportedSetupIsGood cmd/bridgehead/internal/strongswan:TestSeed"},
	{"the page's one-line listing", "cmd/bridgehead/internal/strongswan:TestRefused cmd/bridgehead:TestImportRefusals auth/secrets:TestLostLineBreaksAreSeen"},
	{"charondebug", "TestSeedOnTheWire ikev2:TestProposalsAreLogged"},
	{"uniqueids", "TestFourClientsAtOnce TestInitialContactReplacesTheLostSession ikev2:TestUniqueness ikev2:TestInitialContactMeansTheSameClient"},
	{"keyexchange", "ikev2:TestInitDroppedInSilence"},
	{"auto", "TestSeedOnTheWire"},
	{"left", "TestSeedOnTheWire ikev2/transport:TestAnswersLeaveFromAddressAsked ikev2/transport:TestListenOnGivenAddresses"},
	{"leftsubnet", "TestSeedOnTheWire ikev2:TestNarrow ikev2:TestNarrowNeverWidens"},
	{"leftauth", "TestSeedOnTheWire ikev2:TestLoginByEachClientAndSuite ikev2/suite:TestSchemeFollowsWhatThePeerAnnounced"},
	{"leftcert", "TestSeedOnTheWire cmd/bridgehead/internal/pki:TestChainIsFoundAndOrdered cmd/bridgehead/internal/pki:TestExamine"},
	{"no leftid", "TestSeedOnTheWire ikev2:TestIdentityForEachClient"},
	{"wildcard certificates", "cmd/bridgehead/internal/pki:TestExamine"},
	{"leftsendcert", "TestSeedOnTheWire"},
	{"right", "TestFourClientsAtOnce TestSeedEncapsulation TestSeed"},
	{"rightsourceip", "TestSeedPool TestSeedUsersKeepTheirLeases TestFullPool ikev2/lease:TestTheSeedsPoolGives126Leases ikev2/lease:TestMemoryIsBounded"},
	{"rightsourceip, ranges", "TestFullPool ikev2/lease:TestRanges ikev2/lease:FuzzParseRange"},
	{"rightauth", "auth/mschapv2:TestRFCVectors auth/mschapv2:TestLogin auth/mschapv2:TestNakNamesWhatTheClientWants ikev2:TestSessionKeyLengths ikev2:TestRefusalsAreNamed"},
	{"rightsendcert", "TestSeedOnTheWire"},
	{"rightdns", "TestSeed TestSeedOnTheWire ikev2:TestConfigReply"},
	{"eap_identity", "TestSeedSecrets auth/mschapv2:TestEmptyIdentityIsReplacedByTheName auth:TestNamesAreSplitAndLookedUpInOrder"},
	{"leftupdown", "TestSeed TestSeedScriptHearsOfEveryEnd TestSeedScriptIsNotToldOfMoves TestSeedScriptThatHangsDelaysNobody TestDocumentedScriptThroughTheGateway " +
		"cmd/bridgehead/internal/gateway:TestScriptHearsOfBeginsAndEnds ikev2/hostnet:TestScriptEnvironment ikev2/hostnet:TestScriptOrder ikev2/hostnet:TestScriptsThatMisbehave"},
	{"leftupdown, built in", "TestSeed TestClientsAreNeighboursOfTheSegment ikev2/hostnet:TestAnnouncerKeepsItsOwnAndLeavesOthers"},
	{"dpdaction", "ikev2:TestADayWithoutRekeying ikev2:TestDeadPeerDetection"},
	{"dpddelay", "ikev2:TestADayWithoutRekeying ikev2:TestMoveResetsLiveness"},
	{"rekey", "ikev2:TestADayWithoutRekeying ikev2:TestSessionAndIdleTimeout ikev2/esp:TestSequenceNumbersNeverWrap TestSeedRekeysLoseNothing"},
	{"fragmentation", "TestSeedThroughNarrowPaths ikev2:TestFragmentsBothWays ikev2/exchange:TestReassemblerRules"},
	{"ike", "TestSeedWithWindows TestSeedOnTheWire ikev2:TestInitAnswersWithoutState ikev2:TestWindowsInItsFactoryState ikev2/suite:TestSelectionRules"},
	{"esp", "TestSeedWithWindows ikev2/suite:TestFirstChildHasNoKeyExchange ikev2:TestChildRekey"},
	{"forceencaps", "TestSeedEncapsulation TestFourClientsAtOnce ikev2:TestNATDetection cmd/bridgehead/internal/gateway:TestEncapsulationByFamily"},
	{"proxyndp.updown", "TestSeed TestDocumentedScriptThroughTheGateway ikev2/hostnet:TestDocumentedScript"},
	{": RSA", "auth/secrets:TestIPsecSecretsKeys cmd/bridgehead/internal/pki:TestKeysAsPeopleHaveThem"},
	{": EAP", "TestSeedSecrets auth/secrets:TestIPsecSecretsForms auth/secrets:TestIPsecSecretsSeed"},
	{"comments, include", "TestSeedSecrets auth/secrets:TestIncludesArePatternsAndBounded"},
	{"a broken line", "TestSeedSecrets TestSeedReloadThatFails auth/secrets:TestIPsecSecretsProblems"},
	{"who may read it", "auth/secrets:TestWarnings cmd/bridgehead/internal/config:TestReadableSecretsAreWarnedOf"},
	{`DOMAIN\user`, "TestSeedSecrets TestSeedWithWindows auth:TestNamesAreSplitAndLookedUpInOrder"},
	{"cacerts", "TestSeedOnTheWire cmd/bridgehead/internal/pki:TestChainIsFoundAndOrdered cmd/bridgehead/internal/pki:TestMissingIntermediateSaysWhereItIs"},
	{"clients", "TestSeed TestSeedWithWindows TestProfilesForStrongSwan TestProfilesLetEmulatedClientsIn ikev2:TestLoginByEachClientAndSuite"},
	{"Windows' IPv6 routes", "TestSeedRemediesForWindows cmd/bridgehead/internal/provision:TestPageRemedies"},
}

// setting is a line of a section of ipsec.conf.
var setting = regexp.MustCompile(`(?m)^\s+(\w+)=`)

// TestSeedDirectives finds a test for each directive of the documented
// ipsec.conf, and finds each test.
func TestSeedDirectives(t *testing.T) {
	t.Parallel()
	said := make(map[string]bool)
	known := make(map[string]map[string]bool) // tests by package
	for _, d := range seedDirectives {
		said[d.says] = true
		for _, test := range strings.Fields(d.tests) {
			pkg, name, elsewhere := strings.Cut(test, ":")
			if !elsewhere {
				pkg, name = "integration/peers", test
			}
			if known[pkg] == nil {
				known[pkg] = testsOf(t, filepath.Join("../..", pkg))
			}
			if !known[pkg][name] {
				t.Errorf("%s: no test %s in %s", d.says, name, pkg)
			}
		}
	}
	conf, err := os.ReadFile(filepath.Join(seedFolder, "ipsec.conf"))
	if err != nil {
		t.Fatal(err)
	}
	all := setting.FindAllStringSubmatch(string(conf), -1)
	if len(all) < 20 {
		t.Errorf("%d directives found", len(all))
	}
	for _, m := range all {
		if !said[m[1]] {
			t.Errorf("no test for %s", m[1])
		}
	}
}

// testsOf are the names of the test functions in a folder.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// TestSeedRemediesForWindows has the program print what the page tells users of
// Windows to type, and how they get by without modp1024.
func TestSeedRemediesForWindows(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.succeeds(t, "import")
	said := s.succeeds(t, "profile", "windows", "--name", "My VPN").out
	for _, want := range []string{"netsh interface ipv6 add route ::/0 \"My VPN\"\n", "\nAdd-VpnConnectionRoute \"My VPN\" ::/1\n", "\nAdd-VpnConnectionRoute \"My VPN\" 8000::/1\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("not printed: %s\n%s", want, said)
		}
	}
	if got := s.succeeds(t, "check"); !strings.Contains(got.out+got.err, "modp1024") || !strings.Contains(got.out+got.err, "Set-VpnConnectionIPsecConfiguration") {
		t.Errorf("check says nothing of modp1024 and its remedy: %s", got)
	}
}
