package suite_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// octets decodes hexadecimal digits.
func octets(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatalf("hexadecimal %q: %v", digits, err)
	}
	return b
}

// hexOctets are octets that JSON holds in hexadecimal.
type hexOctets []byte

func (h *hexOctets) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// wycheproofTest holds the fields of all the kinds of tests used here.
type wycheproofTest struct {
	ID                                                       int `json:"tcId"`
	Comment, Result                                          string
	Key, IV, AAD, Msg, CT, Tag, Public, Private, Shared, Sig hexOctets
}

type wycheproofGroup struct {
	IVSize, TagSize            int
	PublicKeyDER, PublicKeyAsn hexOctets
	Tests                      []wycheproofTest
}

// wycheproofGroups reads one file of Project Wycheproof.
func wycheproofGroups(t *testing.T, file string) []wycheproofGroup {
	t.Helper()
	b, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ TestGroups []wycheproofGroup }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.TestGroups) == 0 || len(all.TestGroups[0].Tests) == 0 {
		t.Fatalf("%s has no tests", file)
	}
	return all.TestGroups
}

// checkVerdict compares whether an implementation accepted with what
// Wycheproof expects; "acceptable" leaves it open.
func checkVerdict(t *testing.T, test wycheproofTest, err error) {
	t.Helper()
	switch {
	case test.Result == "valid" && err != nil:
		t.Errorf("test %d (%s) is valid, refused: %v", test.ID, test.Comment, err)
	case test.Result == "invalid" && err == nil:
		t.Errorf("test %d (%s) is invalid, accepted", test.ID, test.Comment)
	}
}

func checkOctets(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is %x, want %x", what, got, want)
	}
}
