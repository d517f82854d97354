package initiator_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
)

// stale is a verifier to which every password has expired until it is changed
// to newPassword.
type stale struct {
	auth.Verifier
	changed atomic.Int32
}

const newPassword = "battery staple"

func (s *stale) Verify(ctx context.Context, r auth.MSCHAPv2Response) (auth.Keys, error) {
	if _, err := s.Verifier.Verify(ctx, r); err != nil {
		return auth.Keys{}, err
	}
	return auth.Keys{}, &auth.Refusal{Code: auth.ErrorPasswordExpired, Message: "it is a year old", Reason: auth.Reason{Cause: auth.CausePasswordExpired}}
}

// ChangePassword judges the answer that the new password gives; how the new
// password itself is read is the tests' of mschapv2.
func (s *stale) ChangePassword(ctx context.Context, c auth.PasswordChange) (auth.Keys, error) {
	s.changed.Add(1)
	return mschapv2.NewHashVerifier(renewed{}).Verify(ctx, c.Response)
}

type renewed struct{}

func (renewed) Lookup(_ context.Context, name string) (auth.Account, bool, error) {
	return auth.Account{Hash: auth.HashPassword([]byte(newPassword)), Grant: auth.Grant{Name: user}}, name == user, nil
}

func TestAnExpiredPasswordIsChangedOverIKE(t *testing.T) {
	directory := &stale{Verifier: mschapv2.NewHashVerifier(users{})}
	g := newGatewayOver(t, directory)

	c := g.client()
	_, err := initiator.Dial(t.Context(), c)
	var refused *initiator.CredentialsError
	if !errors.As(err, &refused) || refused.Code != auth.ErrorPasswordExpired || refused.Text != "it is a year old" {
		t.Errorf("without a new password: %v", err)
	}

	c.NewPassword = auth.Secret(newPassword)
	for range 2 { // the Config stays as it was
		if s := dial(t, c); !s.Result().PasswordChanged || s.Result().Method != "MSCHAPv2" {
			t.Errorf("%+v", s.Result())
		}
	}
	if n := directory.changed.Load(); n != 2 {
		t.Errorf("%d changes", n)
	}

	c.Password = auth.Secret("wrong")
	if _, err := initiator.Dial(t.Context(), c); !errors.As(err, &refused) || refused.Code != auth.ErrorAuthenticationFailed {
		t.Errorf("with a wrong password: %v", err)
	}
}
