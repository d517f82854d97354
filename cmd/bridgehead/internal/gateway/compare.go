package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/radius"
)

// Comparison is what became of one user of a file with another backend.
type Comparison struct {
	User    string `json:"user"`             // of the file
	Outcome string `json:"outcome"`          // "same", "differs", "missing", "refused", "disabled", "enabled" or "unavailable"
	Note    string `json:"note"`             // for a person; empty for "same"
	Cause   string `json:"cause,omitempty"`  // stable name, of a refusal
	Advice  string `json:"advice,omitempty"` // what to do
}

// Outcomes of a Comparison. Only the first one needs no look.
const (
	CompareSame        = "same"        // the user logs in there with the password of the file, or is disabled in both
	CompareDiffers     = "differs"     // there, but with another password
	CompareMissing     = "missing"     // not there
	CompareRefused     = "refused"     // not let in; RADIUS tells no more
	CompareDisabled    = "disabled"    // enabled in the file, not there
	CompareEnabled     = "enabled"     // disabled in the file, not there
	CompareUnavailable = "unavailable" // could not be judged
)

// CompareRADIUS logs each user of a file in with the RADIUS servers of a
// configuration, whatever its backend is, by the hash alone, and tells each
// what came of it. The error tells that the servers could not be opened.
func CompareRADIUS(ctx context.Context, c *config.Config, users []secrets.User, each func(Comparison)) error {
	central := *c
	central.Auth.Backends, central.Auth.Rules, central.Auth.BreakGlass = []string{config.BackendRADIUS}, nil, config.BreakGlass{}
	plan, err := readRADIUS(&central)
	if err != nil {
		return err
	}
	if len(central.RADIUS) == 0 {
		return errors.New("the configuration names no RADIUS server; add [radius.NAME], which changes nothing as long as auth.backend says otherwise")
	}
	rec := &recorder{began: time.Now()}
	a, err := plan.open(&central, &members{}, radius.Options{})
	if err != nil {
		return err
	}
	defer func() { a.retire(); a.closed.Wait() }()
	for _, u := range users {
		if err := ctx.Err(); err != nil {
			return err
		}
		each(compareLogin(ctx, &central, a.backend, u, rec))
	}
	return nil
}

// compareLogin logs one user in.
func compareLogin(ctx context.Context, c *config.Config, backend auth.Backend, u secrets.User, rec *recorder) Comparison {
	ctx, cancel := context.WithTimeout(ctx, c.IKE.LoginTimeout)
	defer cancel()
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return Comparison{User: u.Name, Outcome: CompareUnavailable, Note: err.Error()}
	}
	test := LoginTest{User: u.Name, Hash: &u.Hash}
	report := &LoginReport{User: u.Name}
	report.play(ctx, backend, test, test.peer(c, hex.EncodeToString(id[:])), rec)
	r := Comparison{User: u.Name, Note: report.Text, Cause: report.Cause, Advice: report.Advice}
	switch {
	case report.Verdict == LoginAccepted && u.Disabled:
		r.Outcome, r.Note = CompareEnabled, "disabled in the file, but the server lets in"
	case report.Verdict == LoginAccepted:
		r.Outcome = CompareSame
	case report.Verdict == LoginRefused && u.Disabled:
		return Comparison{User: u.Name, Outcome: CompareSame}
	case report.Verdict == LoginRefused:
		r.Outcome = CompareRefused
		if report.Told != "" {
			r.Note = report.Told
		}
	default:
		r.Outcome = CompareUnavailable
		if report.Told != "" && r.Note == "" {
			r.Note = report.Told
		}
	}
	return r
}

// CompareLDAP compares the hashes of a file with those of the directory that a
// configuration names, whatever its backend is.
func CompareLDAP(ctx context.Context, c *config.Config, users []secrets.User, each func(Comparison)) error {
	directory, err := openDirectory(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer directory.Close()
	return compareStore(ctx, directory, users, each)
}

// CompareFile compares the users of a file with those of the users file that a
// configuration names.
func CompareFile(ctx context.Context, c *config.Config, users []secrets.User, each func(Comparison)) error {
	store, err := secrets.Open(c.Auth.File.Path, secrets.Options{Format: format(c)})
	if err != nil {
		return err
	}
	return compareStore(ctx, store, users, each)
}

// compareStore looks each user of a file up in a store of hashes.
func compareStore(ctx context.Context, store auth.HashStore, users []secrets.User, each func(Comparison)) error {
	for _, u := range users {
		if err := ctx.Err(); err != nil {
			return err
		}
		account, found, err := store.Lookup(ctx, u.Name)
		each(compareAccount(u, account, found, err))
		account.Hash.Wipe()
	}
	return nil
}

// compareAccount judges what a store has of a user.
func compareAccount(u secrets.User, account auth.Account, found bool, err error) Comparison {
	r := Comparison{User: u.Name}
	outage := new(auth.OutageError)
	disabled := account.Disabled || account.Barred != nil
	switch {
	case errors.As(err, &outage):
		r.Outcome, r.Note, r.Cause, r.Advice = CompareUnavailable, outage.Error(), string(outage.Reason.Cause), outage.Reason.Advice()
	case err != nil:
		r.Outcome, r.Note = CompareUnavailable, err.Error()
	case !found:
		r.Outcome, r.Note = CompareMissing, "not there"
	case account.Barred != nil && account.Barred.Code == auth.ErrorAuthenticationFailed: // it has no hash that could be compared
		why := account.Barred.Reason
		r.Outcome, r.Note, r.Cause, r.Advice = CompareUnavailable, why.Text(), string(why.Cause), why.Advice()
	case subtle.ConstantTimeCompare(u.Hash[:], account.Hash[:]) != 1:
		r.Outcome, r.Note = CompareDiffers, "has another password there"
	case disabled && !u.Disabled:
		r.Outcome, r.Note = CompareDisabled, "enabled in the file, not let in there"
	case !disabled && u.Disabled:
		r.Outcome, r.Note = CompareEnabled, "disabled in the file, let in there"
	default:
		r.Outcome = CompareSame
	}
	return r
}
