package message_test

import (
	"testing"

	"bridgehead/ikev2/message"
)

func BenchmarkParseInit(b *testing.B) {
	wire := windowsInit().Append(nil)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Parse(wire); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendInit(b *testing.B) {
	m := windowsInit()
	wire := m.Append(nil)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		wire = m.Append(wire[:0])
	}
}

func BenchmarkParseAuth(b *testing.B) {
	ps := authRequest()
	wire := message.AppendPayloads(nil, ps)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.ParsePayloads(message.TypeIDi, wire); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendAuth(b *testing.B) {
	ps := authRequest()
	wire := message.AppendPayloads(nil, ps)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		wire = message.AppendPayloads(wire[:0], ps)
	}
}

func BenchmarkParseHeader(b *testing.B) {
	wire := windowsInit().Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.ParseHeader(wire); err != nil {
			b.Fatal(err)
		}
	}
}
