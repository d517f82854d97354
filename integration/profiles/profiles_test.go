package profiles

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPowerShellWords reads what PowerShell reads.
func TestPowerShellWords(t *testing.T) {
	got, err := PowerShell("\ufeff# a comment \"\nGet-X -Name \"a `\"b`$c\" -On:$true 'it''s' | Out-Y\nif (Test-Z 1,2) { Set-Q }\r\n")
	if err != nil {
		t.Fatal(err)
	}
	want := [][]Word{
		{{Text: "Get-X"}, {Text: "-Name"}, {"a \"b$c", true}, {Text: "-On:$true"}, {"it's", true}}, {{Text: "Out-Y"}},
		{{Text: "if"}}, {{Text: "Test-Z"}, {Text: "1"}, {Text: ","}, {Text: "2"}}, {{Text: "Set-Q"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	calls := Calls(got)
	if len(calls) != 4 || calls[0].Named["Name"] != "a \"b$c" || calls[0].Named["On"] != "true" || calls[0].Positional[0] != "it's" {
		t.Errorf("%+v", calls)
	}
}

// TestReadersRefuse what the clients' software would read otherwise or not at
// all.
func TestReadersRefuse(t *testing.T) {
	for script, says := range map[string]string{
		`Get-X "a`:                        "never closed",
		"Get-X 'a\u2019 b'":               "never closed", // the curly quote closes, too
		"Get-X \"a\u201db\"":              "directly behind",
		`Get-X "a $home"`:                 "expansion",
		"Get-X \"a`nb\"":                  "another meaning",
		"Get-X \"a\nb\"":                  "several lines",
		`Get-X { (`:                       "never closed",
		`Get-X )`:                         "closes nothing",
		"Get-X `a":                        "without quotes",
		`Get-X a&b`:                       "without quotes",
		`Add-VpnConnectionRoute "a" ::/0`: "arguments",
		`Invoke-Expression "a"`:           "unknown",
		`Add-VpnConnection -Name "a" -TunnelType L2tp -AuthenticationMethod Eap`:                "tunnel",
		"Get-VpnConnection -Name \"a\"\nRemove-VpnConnection -Name \"b\"":                       `"b" after "a"`,
		`Set-VpnConnectionIPsecConfiguration -ConnectionName "a" -EncryptionMethod AES257`:      "AES257",
		`Import-Certificate -FilePath "a" -CertStoreLocation Cert:\CurrentUser\Root | Out-Null`: "store",
	} {
		if s, err := Windows(script); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; want %q", script, s, err, says)
		}
	}
	for plist, says := range map[string]string{
		"<plist><dict><key>a</key></dict></plist>":                                         "no value",
		"<plist><dict><key>a</key><true/><key>a</key><true/></dict></plist>":               "twice",
		"<plist><dict><key>a</key><string>&</string></dict></plist>":                       "invalid character entity",
		"<plist><dict><key>a</key><string></string><b></dict></plist>":                     "b",
		"<plist><dict>text</dict></plist>":                                                 "between elements",
		"<plist><dict><key>PayloadType</key><string>Configuration</string></dict></plist>": "no configuration profile",
	} {
		if s, err := Apple(plist); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; want %q", plist, s, err, says)
		}
	}
	for _, sswan := range []string{`{"uuid":"x"}`, `{"local":{"shared_secret":"x"}}`, `{"name":"a"`, `{"type":"ikev2-cert"}`} {
		if s, err := Android(sswan); err == nil {
			t.Errorf("%s: %+v", sswan, s)
		}
	}
	for _, script := range []string{"exit 1", "nmcli connection add type vpn", "echo x", "nmcli connection delete uuid x\nnmcli connection add type vpn vpn.data password=x"} {
		if s, err := NetworkManager(script, t.TempDir()); err == nil {
			t.Errorf("%s: %+v", script, s)
		}
	}
}
