package gateway

import (
	"errors"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
)

// TestCompareAccount: what a store has of a user, and what is said of it.
func TestCompareAccount(t *testing.T) {
	user := secrets.User{Name: "alice", Hash: auth.NTHash{1}}
	disabled := user
	disabled.Disabled = true
	barred := func(code int, cause auth.Cause) *auth.Refusal {
		return &auth.Refusal{Code: code, Reason: auth.Reason{Cause: cause}}
	}
	for _, test := range []struct {
		name           string
		user           secrets.User
		account        auth.Account
		found          bool
		err            error
		outcome, cause string
	}{
		{"the same", user, auth.Account{Hash: user.Hash}, true, nil, CompareSame, ""},
		{"disabled in both", disabled, auth.Account{Hash: user.Hash, Disabled: true}, true, nil, CompareSame, ""},
		{"another password", user, auth.Account{Hash: auth.NTHash{2}}, true, nil, CompareDiffers, ""},
		{"nobody", user, auth.Account{}, false, nil, CompareMissing, ""},
		{"disabled there", user, auth.Account{Hash: user.Hash, Disabled: true}, true, nil, CompareDisabled, ""},
		{"expired there", user, auth.Account{Hash: user.Hash, Barred: barred(auth.ErrorAccountDisabled, auth.CauseAccountExpired)}, true, nil, CompareDisabled, ""},
		{"enabled there", disabled, auth.Account{Hash: user.Hash}, true, nil, CompareEnabled, ""},
		{"no hash to be had", user, auth.Account{Barred: barred(auth.ErrorAuthenticationFailed, auth.CauseLDAPNoHash)}, true, nil, CompareUnavailable, string(auth.CauseLDAPNoHash)},
		{"an outage", user, auth.Account{}, false, &auth.OutageError{Reason: auth.Reason{Cause: auth.CauseLDAPTimeout}}, CompareUnavailable, string(auth.CauseLDAPTimeout)},
		{"another error", user, auth.Account{}, false, errors.New("broken"), CompareUnavailable, ""},
	} {
		got := compareAccount(test.user, test.account, test.found, test.err)
		if got.Outcome != test.outcome || got.Cause != test.cause || got.User != user.Name || (got.Note == "") != (test.outcome == CompareSame) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}
