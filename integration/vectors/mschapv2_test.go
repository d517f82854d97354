//go:build vectors

package vectors

import (
	"bytes"
	"encoding/hex"
	"testing"

	"bridgehead/auth/eap"
)

// mschapv2File holds EAP-MSCHAPv2 packets in pieces, to be put together as
// draft-kamath-pppext-eap-mschapv2-02 has them.
const mschapv2File = "EapMsChapV2PacketDefinitions"

func TestMSCHAPv2Constants(t *testing.T) {
	c := constants(t)[mschapv2File]
	get := func(name string) []byte {
		t.Helper()
		if _, ok := c[name]; !ok {
			t.Fatalf("no constant %s", name)
		}
		return mustHex(t, c[name])
	}
	// start is a packet's op-code, the id and the rest of its first piece.
	start := func(name string) []byte {
		b := get(name)
		return bytes.Join([][]byte{b[:1], get("ID"), b[1:]}, nil)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	space, message := get("SPACE_HEX"), join(get("FORMATTED_MESSAGE"), get("MESSAGE_HEX"))
	challenge, name := get("CHALLENGE"), get("SERVER_NAME")
	digits := join(get("FORMATTED_AUTH_STRING"), get("AUTH_STRING_HEX"))
	failure := join(get("FORMATTED_ERROR_CODE"), space, get("FORMATTED_RETRY_BIT"), space, get("FORMATTED_CHALLENGE"), get("CHALLENGE_HEX"), space, get("FORMATTED_PASSWORD_CHANGE_PROTOCOL"))
	response := join(get("PEER_CHALLENGE"), make([]byte, 8), get("NT_RESPONSE"), []byte{0}, get("PEER_NAME"))

	for _, v := range []struct {
		name  string
		code  eap.Code
		data  []byte
		valid bool
	}{
		{"EAP_MSCHAP_V2_CHALLENGE_REQUEST", eap.CodeRequest, join(start("EAP_MSCHAP_V2_CHALLENGE_REQUEST"), challenge, name), true},
		{"CHALLENGE_REQUEST_LONG_MS_LENGTH", eap.CodeRequest, join(start("CHALLENGE_REQUEST_LONG_MS_LENGTH"), challenge, name), false},
		{"CHALLENGE_REQUEST_SHORT_MS_LENGTH", eap.CodeRequest, join(start("CHALLENGE_REQUEST_SHORT_MS_LENGTH"), challenge, name), false},
		{"CHALLENGE_REQUEST_SHORT_CHALLENGE", eap.CodeRequest, join(start("CHALLENGE_REQUEST_SHORT_CHALLENGE"), get("SHORT_CHALLENGE"), name), false},
		{"CHALLENGE_REQUEST_WRONG_OP_CODE", eap.CodeRequest, join(get("CHALLENGE_REQUEST_WRONG_OP_CODE"), start("EAP_MSCHAP_V2_CHALLENGE_REQUEST")[1:], challenge, name), false},
		{"EAP_MSCHAP_V2_CHALLENGE_RESPONSE", eap.CodeResponse, join([]byte{2}, get("ID"), []byte{0, 0x46, 0x31}, response), true},
		{"EAP_MSCHAP_V2_SUCCESS_REQUEST", eap.CodeRequest, join(start("EAP_MSCHAP_V2_SUCCESS_REQUEST"), digits, space, message), true},
		{"EAP_MSCHAP_V2_SUCCESS_REQUEST_MISSING_MESSAGE", eap.CodeRequest, join(start("EAP_MSCHAP_V2_SUCCESS_REQUEST_MISSING_MESSAGE"), digits), true},
		{"EAP_MSCHAP_V2_SUCCESS_RESPONSE", eap.CodeResponse, get("EAP_MSCHAP_V2_SUCCESS_RESPONSE"), true},
		{"EAP_MSCHAP_V2_FAILURE_REQUEST", eap.CodeRequest, join(start("EAP_MSCHAP_V2_FAILURE_REQUEST"), failure, space, message), true},
		{"EAP_MSCHAP_V2_FAILURE_REQUEST_MISSING_MESSAGE", eap.CodeRequest, join(start("EAP_MSCHAP_V2_FAILURE_REQUEST_MISSING_MESSAGE"), failure), true},
		{"EAP_MSCHAP_V2_FAILURE_REQUEST_MISSING_MESSAGE_WITH_SPACE", eap.CodeRequest, join(start("EAP_MSCHAP_V2_FAILURE_REQUEST_MISSING_MESSAGE_WITH_SPACE"), failure, space), true},
		{"EAP_MSCHAP_V2_FAILURE_RESPONSE", eap.CodeResponse, get("EAP_MSCHAP_V2_FAILURE_RESPONSE"), true},
		{"SUCCESS_REQUEST_WRONG_OP_CODE", eap.CodeRequest, join(get("SUCCESS_REQUEST_WRONG_OP_CODE"), start("EAP_MSCHAP_V2_SUCCESS_REQUEST")[1:], digits, space, message), false},
	} {
		t.Run(v.name, func(t *testing.T) {
			wire := eap.Packet{Code: v.code, Identifier: 1, Type: eap.TypeMSCHAPv2, Data: v.data}.Append(nil)
			out, err := eapPacket(wire)
			switch {
			case !v.valid && err == nil:
				t.Errorf("%x parsed, want it refused", wire)
			case v.valid && err != nil:
				t.Errorf("%x: %v", wire, err)
			case v.valid:
				same(t, "encoded again", out, wire)
			}
		})
	}
}

func TestMSCHAPv2TextConstants(t *testing.T) {
	c := constants(t)[mschapv2File]
	text := func(name string) string { return string(mustHex(t, c[name])) }
	digits := text("AUTH_STRING_HEX")
	success, err := eap.ParseSuccessMessage([]byte("S=" + digits + " M=" + text("MESSAGE_HEX")))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "S=", hex.EncodeToString(success.AuthenticatorResponse[:]), c["AUTH_STRING"])
	same(t, "M=", "text:"+success.Text, c["MESSAGE"])
	if _, err := eap.ParseSuccessMessage([]byte("N=12 S=" + digits)); err != nil {
		t.Errorf("EXTRA_ATTRIBUTE: %v, want unknown fields left alone", err)
	}
	for name, bad := range map[string]string{
		"SUCCESS_REQUEST_INVALID_FORMAT":      "S==" + digits + "M=",
		"SUCCESS_REQUEST_WRONG_PREFIX":        "M=" + digits + " M=",
		"SUCCESS_REQUEST_SHORT_AUTH_STRING":   "S=" + c["SHORT_AUTH_STRING"] + " M=",
		"SUCCESS_REQUEST_INVALID_AUTH_STRING": "S=" + text("INVALID_AUTH_HEX") + " M=",
		"SUCCESS_REQUEST_DUPLICATE_KEY":       "S=" + digits + " S=" + digits + " M=",
	} {
		if got, err := eap.ParseSuccessMessage([]byte(bad)); err == nil {
			t.Errorf("%s: %q parsed to %+v", name, bad, got)
		}
	}
	failure, err := eap.ParseFailureMessage([]byte(text("FORMATTED_ERROR_CODE") + " " + text("FORMATTED_RETRY_BIT") + " C=" + text("CHALLENGE_HEX") + " " + text("FORMATTED_PASSWORD_CHANGE_PROTOCOL")))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "failure", failure, eap.FailureMessage{Error: 647, Retry: true, Challenge: mustHex(t, c["CHALLENGE"]), Version: 3})
	for name, bad := range map[string]string{
		"FAILURE_REQUEST_INVALID_ERROR_CODE":               text("INVALID_ERROR_CODE"),
		"FAILURE_REQUEST_INVALID_CHALLENGE":                "E=691 " + text("INVALID_CHALLENGE"),
		"FAILURE_REQUEST_SHORT_CHALLENGE":                  "E=691 " + text("FORMATTED_SHORT_CHALLENGE"),
		"FAILURE_REQUEST_INVALID_PASSWORD_CHANGE_PROTOCOL": "E=691 " + text("INVALID_PASSWORD_CHANGE_PROTOCOL"),
	} {
		if got, err := eap.ParseFailureMessage([]byte(bad)); err == nil {
			t.Errorf("%s: %q parsed to %+v", name, bad, got)
		}
	}
}
