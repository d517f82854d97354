package radius

import (
	"bytes"
	"crypto/md5"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2866"
)

func report() codec.Attributes { return codec.Attributes{avp(rfc2866.AcctSessionID_Type, "s1")} }

// genuine tells whether the authenticator of an Accounting-Request is right.
func genuine(q []byte) bool {
	zeroed := bytes.Clone(q)
	clear(zeroed[4:headerLen])
	sum := md5.Sum(append(zeroed, testSecret...))
	return bytes.Equal(sum[:], q[4:headerLen])
}

// Only an authentic Accounting-Response is an answer; until it comes, the same
// octets go out again, and the next call is another request.
func TestAccounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 2
		w := &wire{answer: func(q []byte) [][]byte {
			if lost--; lost >= 0 {
				return [][]byte{
					reply(q, codec.CodeAccessAccept, signed), reply(q, codec.CodeAccessReject, signed),
					reply(q, codec.CodeAccountingResponse, wrongAuthenticator), reply(q, codec.CodeAccountingResponse, wrongMAC),
				}
			}
			return [][]byte{reply(q, codec.CodeAccountingResponse, unsigned)}
		}}
		s := newTestServer(t, w, noStatus)
		defer s.Close()
		g := &Group{accounting: []*Server{s}, rand: seeded(2)}
		for range 2 {
			if err := g.Account(t.Context(), report()); err != nil {
				t.Fatal(err)
			}
		}
		sent := w.packets()
		if len(sent) != 4 || !bytes.Equal(sent[0], sent[1]) || !bytes.Equal(sent[0], sent[2]) || bytes.Equal(sent[0], sent[3]) {
			t.Errorf("sent %x", sent)
		}
		for _, q := range sent {
			if codec.Code(q[0]) != codec.CodeAccountingRequest || !genuine(q) {
				t.Errorf("%x is no Accounting-Request of ours", q)
			}
		}
		if f := s.Figures(); f.State != Alive || f.Answers != 2 || f.Discarded() != 4 {
			t.Errorf("figures %+v", f)
		}
	})
}

func TestAccountingGoesToTheNextServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, live := &wire{answer: silence}, &wire{answer: honest(codec.CodeAccountingResponse)}
		a, b := newTestServer(t, dead, nil), newTestServer(t, live, nil)
		defer a.Close()
		defer b.Close()
		g := &Group{accounting: []*Server{a, b}, rand: seeded(2)}
		began := time.Now()
		if err := g.Account(t.Context(), report()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v to find that the first is dead", took)
		}
		live.set(silence)
		err := g.Account(within(t, time.Minute), report())
		var silent *SilentError
		if !errors.As(err, &silent) {
			t.Errorf("nobody answers: %v", err)
		}
	})
}

// Where accounting goes follows from the configuration.
func TestWhereAccountingGoes(t *testing.T) {
	for name, c := range map[string]struct {
		accounting string
		takes      bool
		links      int // of its own
	}{
		"nowhere":          {"", false, 0},
		"to its own port":  {"192.0.2.1:1813", true, 1},
		"to the same port": {"192.0.2.1:1812", true, 0},
	} {
		g, err := NewGroup("all", []ServerConfig{{Name: "one", Address: "192.0.2.1:1812", Accounting: c.accounting, Secret: []byte(testSecret), NoStatusServer: true}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if g.TakesAccounting() != c.takes || len(g.AccountingFigures()) != c.links {
			t.Errorf("%s: takes accounting: %v, %d links of its own", name, g.TakesAccounting(), len(g.AccountingFigures()))
		}
		g.Close()
	}
	_, err := NewGroup("all", []ServerConfig{{Address: "192.0.2.1:1812", Accounting: "192.0.2.1", Secret: []byte(testSecret)}}, Options{})
	var wrong *ConfigError
	if !errors.As(err, &wrong) {
		t.Errorf("an accounting address without a port: %v", err)
	}
}
