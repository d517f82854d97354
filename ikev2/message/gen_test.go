package message_test

import (
	"maps"
	"net/netip"
	"slices"

	"bridgehead/ikev2/message"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// same are the options under which two parsed messages count as equal.
var same = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})}

func octets(low, high int) *rapid.Generator[[]byte] {
	return rapid.SliceOfN(rapid.Byte(), low, high)
}

var (
	spi      = rapid.Custom(func(t *rapid.T) message.SPI { return message.SPI(octets(8, 8).Draw(t, "spi")) })
	protocol = rapid.Custom(func(t *rapid.T) message.Protocol { return message.Protocol(rapid.Byte().Draw(t, "protocol")) })
)

var header = rapid.Custom(func(t *rapid.T) message.Header {
	return message.Header{
		InitiatorSPI: spi.Draw(t, "SPIi"),
		ResponderSPI: spi.Draw(t, "SPIr"),
		Version:      message.Version2 | rapid.Uint8Range(0, 15).Draw(t, "minor"),
		Exchange:     message.ExchangeType(rapid.Byte().Draw(t, "exchange")),
		Flags:        message.Flags(rapid.Byte().Draw(t, "flags")),
		MessageID:    rapid.Uint32().Draw(t, "id"),
	}
})

var attribute = rapid.Custom(func(t *rapid.T) message.Attribute {
	a := message.Attribute{
		Short: rapid.Bool().Draw(t, "short"),
		Type:  rapid.Uint16Range(0, 0x7fff).Filter(func(v uint16) bool { return v != 14 }).Draw(t, "type"),
		Value: octets(0, 9).Draw(t, "value"),
	}
	if a.Short {
		a.Value = octets(2, 2).Draw(t, "value")
	}
	return a
})

var transform = rapid.Custom(func(t *rapid.T) message.Transform {
	return message.Transform{
		Type:       message.TransformType(rapid.Byte().Draw(t, "type")),
		ID:         rapid.Uint16().Draw(t, "id"),
		KeyLength:  rapid.Uint16().Draw(t, "length"),
		Attributes: rapid.SliceOfN(attribute, 0, 2).Draw(t, "attributes"),
	}
})

var proposal = rapid.Custom(func(t *rapid.T) message.Proposal {
	return message.Proposal{
		Number:     rapid.Byte().Draw(t, "number"),
		Protocol:   protocol.Draw(t, "protocol"),
		SPI:        octets(0, 9).Draw(t, "spi"),
		Transforms: rapid.SliceOfN(transform, 0, 6).Draw(t, "transforms"),
	}
})

func addresses(t *rapid.T) (start, end netip.Addr) {
	size := rapid.SampledFrom([]int{4, 16}).Draw(t, "family")
	start, _ = netip.AddrFromSlice(octets(size, size).Draw(t, "start"))
	end, _ = netip.AddrFromSlice(octets(size, size).Draw(t, "end"))
	if end.Less(start) {
		return end, start
	}
	return start, end
}

var selector = rapid.Custom(func(t *rapid.T) message.Selector {
	if rapid.IntRange(0, 3).Draw(t, "raw") == 0 {
		return message.Selector{Raw: &message.RawSelector{
			Kind:     rapid.Uint8Range(9, 255).Draw(t, "kind"),
			Protocol: rapid.Byte().Draw(t, "protocol"),
			Body:     octets(0, 20).Draw(t, "body"),
		}}
	}
	s := message.Selector{Protocol: rapid.Byte().Draw(t, "protocol"), StartPort: 65535}
	if !rapid.Bool().Draw(t, "opaque") {
		s.StartPort = rapid.Uint16().Draw(t, "first")
		s.EndPort = rapid.Uint16Min(s.StartPort).Draw(t, "last")
	}
	s.Start, s.End = addresses(t)
	return s
})

var configuration = rapid.Custom(func(t *rapid.T) message.CPAttribute {
	return message.CPAttribute{
		Type:  message.CPAttributeType(rapid.Uint16Range(0, 0x7fff).Draw(t, "type")),
		Value: octets(0, 20).Draw(t, "value"),
	}
})

// payloads has a generator for each payload that may stand inside SK.
var payloads = map[string]func(*rapid.T) message.Payload{
	"SA": func(t *rapid.T) message.Payload {
		return &message.SA{Proposals: rapid.SliceOfN(proposal, 1, 4).Draw(t, "proposals")}
	},
	"KE": func(t *rapid.T) message.Payload {
		return &message.KE{Group: rapid.Uint16().Draw(t, "group"), Data: octets(0, 40).Draw(t, "data")}
	},
	"ID": func(t *rapid.T) message.Payload {
		return &message.ID{Responder: rapid.Bool().Draw(t, "r"), Kind: message.IDKind(rapid.Byte().Draw(t, "kind")), Data: octets(0, 40).Draw(t, "data")}
	},
	"Cert": func(t *rapid.T) message.Payload {
		return &message.Cert{Encoding: message.CertEncoding(rapid.Byte().Draw(t, "encoding")), Data: octets(0, 40).Draw(t, "data")}
	},
	"CertReq": func(t *rapid.T) message.Payload {
		return &message.CertReq{Encoding: message.CertEncoding(rapid.Byte().Draw(t, "encoding")), Authorities: octets(0, 40).Draw(t, "data")}
	},
	"Auth": func(t *rapid.T) message.Payload {
		return &message.Auth{Method: message.AuthMethod(rapid.Byte().Draw(t, "method")), Data: octets(0, 40).Draw(t, "data")}
	},
	"Nonce": func(t *rapid.T) message.Payload { return &message.Nonce{Data: octets(16, 256).Draw(t, "data")} },
	"Notify": func(t *rapid.T) message.Payload {
		return &message.Notify{
			Protocol: protocol.Draw(t, "protocol"), SPI: octets(0, 9).Draw(t, "spi"),
			Kind: message.NotifyType(rapid.Uint16().Draw(t, "kind")), Data: octets(0, 40).Draw(t, "data"),
		}
	},
	"Delete": func(t *rapid.T) message.Payload {
		size := rapid.SampledFrom([]int{0, 4, 8}).Draw(t, "size")
		d := &message.Delete{Protocol: protocol.Draw(t, "protocol"), SPISize: uint8(size)}
		if size > 0 {
			d.SPIs = rapid.SliceOfN(octets(size, size), 0, 5).Draw(t, "spis")
		}
		return d
	},
	"VendorID": func(t *rapid.T) message.Payload { return &message.VendorID{Data: octets(0, 40).Draw(t, "data")} },
	"TS": func(t *rapid.T) message.Payload {
		return &message.TS{Responder: rapid.Bool().Draw(t, "r"), Selectors: rapid.SliceOfN(selector, 0, 4).Draw(t, "selectors")}
	},
	"CP": func(t *rapid.T) message.Payload {
		return &message.CP{Kind: message.CPKind(rapid.Byte().Draw(t, "kind")), Attributes: rapid.SliceOfN(configuration, 0, 5).Draw(t, "attributes")}
	},
	"EAP": func(t *rapid.T) message.Payload { return &message.EAP{Packet: octets(0, 40).Draw(t, "packet")} },
	"Unknown": func(t *rapid.T) message.Payload {
		return &message.Unknown{
			Kind:     message.PayloadType(rapid.SampledFrom([]int{1, 13, 32, 49, 52, 54, 127, 128, 255}).Draw(t, "kind")),
			Critical: rapid.Bool().Draw(t, "critical"), Body: octets(0, 40).Draw(t, "body"),
		}
	},
}

var payload = rapid.Custom(func(t *rapid.T) message.Payload {
	return payloads[rapid.SampledFrom(slices.Sorted(maps.Keys(payloads))).Draw(t, "payload")](t)
})

// whole draws a message whose last payload may be SK or SKF.
var whole = rapid.Custom(func(t *rapid.T) *message.Message {
	m := &message.Message{Header: header.Draw(t, "header"), Payloads: rapid.SliceOfN(payload, 0, 6).Draw(t, "payloads")}
	first := message.PayloadType(rapid.Byte().Draw(t, "first"))
	switch rapid.SampledFrom([]message.PayloadType{0, message.TypeSK, message.TypeSKF}).Draw(t, "encrypted") {
	case message.TypeSK:
		m.Payloads = append(m.Payloads, &message.SK{First: first, Body: octets(0, 60).Draw(t, "body")})
	case message.TypeSKF:
		total := rapid.Uint16Min(1).Draw(t, "total")
		m.Payloads = append(m.Payloads, &message.SKF{
			First: first, Number: rapid.Uint16Range(1, total).Draw(t, "number"), Total: total, Body: octets(0, 60).Draw(t, "body"),
		})
	}
	return m
})

func mustParse(t rapid.TB, b []byte) *message.Message {
	t.Helper()
	m, err := message.Parse(b)
	if err != nil {
		t.Fatalf("Parse(%x): %v", b, err)
	}
	return m
}
