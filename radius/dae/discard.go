package dae

// discard is why a packet was dropped without an answer. It is counted under
// its name.
type discard string

// Reasons. Up to discardStale the packet is not authentic or not current, and
// RFC 5176 forbids an answer.
const (
	discardClient        discard = "unknown_client"
	discardMalformed     discard = "malformed"
	discardCode          discard = "unexpected_code"
	discardAuthenticator discard = "bad_authenticator"
	discardMAC           discard = "bad_message_authenticator"
	discardUnsigned      discard = "no_message_authenticator"
	discardUndated       discard = "no_event_timestamp"
	discardStale         discard = "stale_event_timestamp"
	discardDuplicate     discard = "duplicate_under_way"
	discardBusy          discard = "busy"
	discardUnanswerable  discard = "unanswerable"
	discardHandshake     discard = "tls_handshake"
)

var discards = []discard{
	discardClient, discardMalformed, discardCode, discardAuthenticator, discardMAC, discardUnsigned, discardUndated,
	discardStale, discardDuplicate, discardBusy, discardUnanswerable,
	discardHandshake,
}

// advice is what to do about a reason, for the log.
var advice = map[discard]string{
	discardClient:        "if it is one of yours, add it as a client with its address and secret; over TLS its certificate must carry the name",
	discardMalformed:     "see what sends this; it is no RADIUS packet",
	discardCode:          "only Disconnect-Request and CoA-Request are taken here",
	discardAuthenticator: "compare the secrets on both sides; else somebody forges requests",
	discardMAC:           "compare the secrets on both sides; else somebody forges requests",
	discardUnsigned:      `have the client add Message-Authenticator, or set message_authenticator = "optional" for it`,
	discardUndated:       `have the client add Event-Timestamp, or set event_timestamp = "optional" for it`,
	discardStale:         "set the clocks of both sides by NTP; else somebody repeats old requests",
	discardDuplicate:     "nothing: the answer follows",
	discardBusy:          "the client sends more requests than are worked on at once; let it wait for answers",
	discardHandshake:     "see whether the client's certificate comes from tls.ca, and whether the client takes ours",
	discardUnanswerable:  "the answer would be longer than a packet: fewer Proxy-State are needed",
}

func (d discard) Error() string { return string(d) }
