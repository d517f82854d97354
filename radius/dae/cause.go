package dae

import "strconv"

// ErrorCause is an Error-Cause (RFC 5176 §3.5).
type ErrorCause uint32

// Error causes. Zero is none: the request succeeded.
const (
	UnsupportedAttribute    ErrorCause = 401
	MissingAttribute        ErrorCause = 402
	NASMismatch             ErrorCause = 403
	InvalidRequest          ErrorCause = 404
	UnsupportedService      ErrorCause = 405
	InvalidValue            ErrorCause = 407
	Prohibited              ErrorCause = 501
	SessionNotFound         ErrorCause = 503
	SessionNotRemovable     ErrorCause = 504
	ResourcesUnavailable    ErrorCause = 506
	MultipleSessionsRefused ErrorCause = 508
)

var causeNames = map[ErrorCause]string{
	0:                       "done",
	UnsupportedAttribute:    "unsupported-attribute",
	MissingAttribute:        "missing-attribute",
	NASMismatch:             "nas-identification-mismatch",
	InvalidRequest:          "invalid-request",
	UnsupportedService:      "unsupported-service",
	InvalidValue:            "invalid-attribute-value",
	Prohibited:              "administratively-prohibited",
	SessionNotFound:         "session-context-not-found",
	SessionNotRemovable:     "session-context-not-removable",
	ResourcesUnavailable:    "resources-unavailable",
	MultipleSessionsRefused: "multiple-session-selection-unsupported",
}

// String is the cause's name in kebab case.
func (c ErrorCause) String() string {
	if s, ok := causeNames[c]; ok {
		return s
	}
	return strconv.Itoa(int(c))
}
