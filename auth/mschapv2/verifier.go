package mschapv2

import (
	"context"
	"fmt"

	"bridgehead/auth"
)

// absent stands in for the hash of a user who does not exist, so that the
// same work is done for everybody. An answer that fits it is refused too.
var absent = auth.HashPassword([]byte("no such user"))

type hashVerifier struct{ store auth.HashStore }

// NewHashVerifier judges answers by the NT hashes of a store. It looks for
// the full name, then for the bare one (auth.Name). An unknown user costs the
// same operations as a wrong password, and a disabled account is told apart
// only from whoever knows its password.
func NewHashVerifier(store auth.HashStore) auth.Verifier { return hashVerifier{store} }

// Verify implements auth.Verifier.
func (v hashVerifier) Verify(ctx context.Context, r auth.MSCHAPv2Response) (auth.Keys, error) {
	account, known, err := Find(ctx, v.store, r)
	if err != nil {
		return auth.Keys{}, err
	}
	return Judge(account, known, r)
}

// Judge compares an answer with the hash of an account; that of an unknown user
// costs the same. It wipes its copy of the hash. The error is a *auth.Refusal.
func Judge(account auth.Account, known bool, r auth.MSCHAPv2Response) (auth.Keys, error) {
	defer account.Hash.Wipe()
	if !known {
		account.Hash = absent
	}
	challenge := ChallengeHash(r.PeerChallenge, r.AuthenticatorChallenge, r.Name)
	want := ChallengeResponse(challenge, &account.Hash)
	right := equal(want[:], r.NTResponse[:])
	switch {
	case !known:
		return auth.Keys{}, refuse(auth.ErrorAuthenticationFailed, auth.CauseUnknownUser, r.Name)
	case unprovable(account.Barred):
		return auth.Keys{}, account.Barred
	case !right:
		return auth.Keys{}, refuse(auth.ErrorAuthenticationFailed, auth.CauseWrongPassword, r.Name)
	case account.Barred != nil:
		return auth.Keys{}, account.Barred
	case account.Disabled:
		return auth.Keys{}, refuse(auth.ErrorAccountDisabled, auth.CauseAccountDisabled, r.Name)
	}
	hashHash := account.Hash.HashHash()
	defer hashHash.Wipe()
	keys := auth.Keys{
		AuthenticatorResponse: AuthenticatorResponse(&hashHash, r.NTResponse, challenge),
		Grant:                 account.Grant,
	}
	keys.Grant.MSK = MSK(&hashHash, r.NTResponse)
	return keys, nil
}

// unprovable tells that there is no hash to prove a password by.
func unprovable(r *auth.Refusal) bool { return r != nil && r.Code == auth.ErrorAuthenticationFailed }

// Find asks a store for every form of the name, found or not.
func Find(ctx context.Context, store auth.HashStore, r auth.MSCHAPv2Response) (auth.Account, bool, error) {
	account, known := auth.Account{}, false
	lookups := auth.SplitName(r.Name).Lookups()
	if r.WholeName {
		lookups = lookups[:1]
	}
	for _, lookup := range lookups {
		a, ok, err := store.Lookup(ctx, lookup)
		if err != nil {
			return auth.Account{}, false, fmt.Errorf("look up a user: %w", err)
		}
		if ok && !known {
			account, known = a, true
		}
	}
	return account, known, nil
}

// refuse lets the client try again where another password could help.
func refuse(code int, cause auth.Cause, name string) *auth.Refusal {
	return &auth.Refusal{
		Code:   code,
		Retry:  code == auth.ErrorAuthenticationFailed,
		Reason: auth.Reason{Cause: cause, Evidence: []auth.Evidence{{Key: "name", Value: auth.Clip(name)}}},
	}
}
