package dae

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
)

// Whatever is not authentic or not of now has no answer and no effect.
func TestNothingBeforeVerification(t *testing.T) {
	ok := func(b *bench) *draft { return b.disconnect(session(phone.ID)) }
	with := func(change func(*draft)) func(*bench) []byte {
		return func(b *bench) []byte {
			d := ok(b)
			change(d)
			return d.wire()
		}
	}
	for name, c := range map[string]struct {
		packet func(*bench) []byte
		from   string
		reason discard
	}{
		"unknown address":              {packet: with(func(*draft) {}), from: "192.0.3.1:1", reason: discardClient},
		"unknown address over IPv6":    {packet: with(func(*draft) {}), from: "[2001:db8:3::1]:1", reason: discardClient},
		"wrong secret":                 {packet: with(func(d *draft) { d.secret = "guess" }), reason: discardAuthenticator},
		"forged authenticator":         {packet: with(func(d *draft) { d.wrongSum = true }), reason: discardAuthenticator},
		"forged Message-Authenticator": {packet: with(func(d *draft) { d.wrongMAC = true }), reason: discardMAC},
		"no Message-Authenticator":     {packet: with(func(d *draft) { d.unsigned = true }), reason: discardUnsigned},
		"two Message-Authenticators":   {packet: with(func(d *draft) { d.attrs = append(d.attrs, attr(80, string(make([]byte, 16)))) }), reason: discardMAC},
		"short Message-Authenticator":  {packet: with(func(d *draft) { d.unsigned = true; d.attrs = append(d.attrs, attr(80, "short")) }), reason: discardMAC},
		"no Event-Timestamp":           {packet: with(func(d *draft) { d.attrs = d.attrs[:1] }), reason: discardUndated},
		"two Event-Timestamps":         {packet: func(b *bench) []byte { return b.disconnect(session(phone.ID), b.dated(0)).wire() }, reason: discardMalformed},
		"short Event-Timestamp":        {packet: with(func(d *draft) { d.attrs[1] = attr(rfc2869.EventTimestamp_Type, "abc") }), reason: discardMalformed},
		"recorded 301 s ago": {packet: func(b *bench) []byte {
			q := ok(b).wire()
			b.now = b.now.Add(301 * time.Second)
			return q
		}, reason: discardStale},
		"301 s ahead": {packet: func(b *bench) []byte {
			q := ok(b).wire()
			b.now = b.now.Add(-301 * time.Second)
			return q
		}, reason: discardStale},
		"Access-Request":                  {packet: with(func(d *draft) { d.code = codec.CodeAccessRequest }), reason: discardCode},
		"Disconnect-ACK":                  {packet: with(func(d *draft) { d.code = codec.CodeDisconnectACK }), reason: discardCode},
		"nothing":                         {packet: func(*bench) []byte { return nil }, reason: discardMalformed},
		"a header cut short":              {packet: func(b *bench) []byte { return ok(b).wire()[:19] }, reason: discardMalformed},
		"cut in the last attribute":       {packet: func(b *bench) []byte { w := ok(b).wire(); return w[:len(w)-1] }, reason: discardMalformed},
		"a length below the header's":     {packet: func(b *bench) []byte { w := ok(b).wire(); w[2], w[3] = 0, 19; return w }, reason: discardMalformed},
		"an attribute beyond the packet":  {packet: func(b *bench) []byte { w := ok(b).wire(); w[39] = 255; return w }, reason: discardMalformed},
		"an attribute of length 1":        {packet: func(b *bench) []byte { w := ok(b).wire(); w[39] = 1; return w }, reason: discardMalformed},
		"an attribute changed on the way": {packet: func(b *bench) []byte { w := ok(b).wire(); w[40] ^= 1; return w }, reason: discardAuthenticator},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			from := source{addr: campus}
			if c.from != "" {
				from.addr = netip.MustParseAddrPort(c.from)
			}
			b.wantSilence(c.packet(b), from, c.reason)
			b.wantEnded()
		})
	}
}

func TestWhatIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		client func(*Client)
		draft  func(*bench, *draft)
		from   string
	}{
		"as usual":                                   {},
		"from an IPv6 address":                       {from: "[2001:db8:2::7]:999"},
		"Message-Authenticator last":                 {draft: func(_ *bench, d *draft) { d.macLast = true }},
		"300 s old":                                  {draft: func(b *bench, d *draft) { d.attrs[1] = b.dated(300 * time.Second) }},
		"300 s ahead":                                {draft: func(b *bench, d *draft) { d.attrs[1] = b.dated(-300 * time.Second) }},
		"unsigned from a client that may":            {client: func(c *Client) { c.AllowUnsigned = true }, draft: func(_ *bench, d *draft) { d.unsigned = true }},
		"without Event-Timestamp of one that may":    {client: func(c *Client) { c.AllowUndated = true }, draft: func(_ *bench, d *draft) { d.attrs = d.attrs[:1] }},
		"of another client's longer prefix's secret": {client: func(c *Client) { c.Addresses = append(c.Addresses, netip.MustParsePrefix("0.0.0.0/0")) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.client)
			d := b.disconnect(session(phone.ID))
			if c.draft != nil {
				c.draft(b, d)
			}
			from := source{addr: campus}
			if c.from != "" {
				from.addr = netip.MustParseAddrPort(c.from)
			}
			if a := b.askFrom(d, from); a == nil || a.code != codec.CodeDisconnectACK || a.cause() != 0 {
				t.Fatalf("answered %+v, discarded %v", a, b.Figures().Discarded)
			}
			b.wantEnded(phone.ID)
		})
	}
	t.Run("octets after the packet are padding", func(t *testing.T) {
		b := newBench(t, nil)
		if b.send(append(b.disconnect(session(phone.ID)).wire(), 1, 2, 3), source{addr: campus}) == nil {
			t.Error("no answer")
		}
	})
	t.Run("an opt-out does not make a wrong one right", func(t *testing.T) {
		b := newBench(t, func(c *Client) { c.AllowUnsigned, c.AllowUndated = true, true })
		d := b.disconnect(session(phone.ID))
		d.wrongMAC = true
		b.wantSilence(d.wire(), source{addr: campus}, discardMAC)
		d = b.disconnect(session(phone.ID))
		d.attrs[1] = b.dated(time.Hour)
		b.wantSilence(d.wire(), source{addr: campus}, discardStale)
	})
}

// The secret is chosen by the longest prefix of the source's address (RFC 5176
// §2.3).
func TestSecretByAddress(t *testing.T) {
	b := newBench(t, nil)
	err := b.Configure(Config{Clients: []Client{
		{Name: "all", Addresses: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Secret: auth.Secret("wide")},
		{Name: "one", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/32")}, Secret: auth.Secret("narrow")},
		{Name: "tls", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.11/32")}, TLSNames: []string{"radius.example.org"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for addr, secret := range map[string]string{"192.0.2.10:1": "narrow", "192.0.2.11:1": "wide", "198.51.100.7:1": "wide"} {
		for _, with := range []string{"narrow", "wide"} {
			d := b.disconnect(session("nobody's"))
			d.secret = with
			if a := b.askFrom(d, source{addr: netip.MustParseAddrPort(addr)}); (a != nil) != (with == secret) {
				t.Errorf("%s with the secret %q: answer %v", addr, with, a)
			}
		}
	}
}

func TestConfigureRefusesWhatCannotWork(t *testing.T) {
	b := newBench(t, nil)
	any4 := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	for name, list := range map[string][]Client{
		"no address":             {{Name: "a", Secret: auth.Secret("x")}},
		"neither secret nor TLS": {{Name: "a", Addresses: any4}},
		"one address, two secrets": {
			{Name: "a", Addresses: any4, Secret: auth.Secret("x")}, {Name: "b", Addresses: any4, Secret: auth.Secret("y")}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := b.Configure(Config{Clients: list}); err == nil {
				t.Error("taken")
			}
		})
	}
	b.wantAnswer(b.disconnect(session(phone.ID)), 0) // all stayed as it was
}

// Proxy-State and State go back octet by octet, in their order, whatever the
// outcome (RFC 5176 §3.1, §3.3).
func TestProxyStateAndStateGoBack(t *testing.T) {
	for _, id := range []string{phone.ID, "nobody's"} {
		b := newBench(t, nil)
		states := []*codec.AVP{attr(rfc2865.ProxyState_Type, "\x00first"), attr(rfc2865.State_Type, "state"), attr(rfc2865.ProxyState_Type, "")}
		a := b.ask(b.disconnect(append(states, session(id))...))
		var back codec.Attributes
		for _, x := range a.attrs {
			if x.Type == rfc2865.ProxyState_Type || x.Type == rfc2865.State_Type {
				back = append(back, x)
			}
		}
		if !slices.EqualFunc(back, states, func(x, y *codec.AVP) bool { return x.Type == y.Type && string(x.Attribute) == string(y.Attribute) }) {
			t.Errorf("%v came back of %v", back, states)
		}
	}
}

func TestAnswerThatDoesNotFit(t *testing.T) {
	b := newBench(t, func(c *Client) { c.AllowUnsigned = true })
	d := b.disconnect(session("nobody's"))
	d.unsigned = true
	for range 15 {
		d.attrs = append(d.attrs, attr(rfc2865.ProxyState_Type, string(make([]byte, 253))))
	}
	d.attrs = append(d.attrs, attr(rfc2865.ProxyState_Type, string(make([]byte, 230))))
	if got := b.send(d.wire(), source{addr: campus}); got != nil || b.Figures().Discarded["unanswerable"] != 1 {
		t.Errorf("answered %d octets, discarded %v", len(got), b.Figures().Discarded)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := Client{Name: "campus", Secret: auth.Secret(testSecret)}
	for _, text := range printed(c) {
		if slices.Contains([]string{"", testSecret}, text) || containsSecret(text) {
			t.Errorf("prints %q", text)
		}
	}
}
