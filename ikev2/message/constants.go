package message

// IDKind is the type of an identity (RFC 7296 §3.5).
type IDKind uint8

// Identity kinds.
const (
	IDIPv4Addr   IDKind = 1
	IDFQDN       IDKind = 2
	IDRFC822Addr IDKind = 3
	IDIPv6Addr   IDKind = 5
	IDDERASN1DN  IDKind = 9
	IDDERASN1GN  IDKind = 10
	IDKeyID      IDKind = 11
)

// CertEncoding is the encoding of a certificate (RFC 7296 §3.6).
type CertEncoding uint8

// CertX509Signature is an X.509 certificate for signatures, the only encoding
// this product uses.
const CertX509Signature CertEncoding = 4

// AuthMethod is an authentication method (RFC 7296 §3.8).
type AuthMethod uint8

// Authentication methods.
const (
	AuthRSASHA1   AuthMethod = 1 // RSA digital signature, SHA-1 by default
	AuthSharedKey AuthMethod = 2 // shared key MIC, also over an EAP MSK
	AuthECDSA256  AuthMethod = 9 // RFC 4754
	AuthECDSA384  AuthMethod = 10
	AuthECDSA521  AuthMethod = 11
	AuthNull      AuthMethod = 13 // RFC 7619
	AuthSignature AuthMethod = 14 // RFC 7427
)

// NotifyType is the type of a notification (RFC 7296 §3.10.1). Below 16384
// are errors.
type NotifyType uint16

// Notify message types this product sends or meets.
const (
	UnsupportedCriticalPayload NotifyType = 1
	InvalidIKESPI              NotifyType = 4
	InvalidMajorVersion        NotifyType = 5
	InvalidSyntax              NotifyType = 7
	InvalidMessageID           NotifyType = 9
	InvalidSPI                 NotifyType = 11
	NoProposalChosen           NotifyType = 14
	InvalidKEPayload           NotifyType = 17
	AuthenticationFailed       NotifyType = 24
	SinglePairRequired         NotifyType = 34
	NoAdditionalSAs            NotifyType = 35
	InternalAddressFailure     NotifyType = 36
	FailedCPRequired           NotifyType = 37
	TSUnacceptable             NotifyType = 38
	InvalidSelectors           NotifyType = 39
	UnacceptableAddresses      NotifyType = 40
	UnexpectedNATDetected      NotifyType = 41
	UseAssignedHoA             NotifyType = 42
	TemporaryFailure           NotifyType = 43
	ChildSANotFound            NotifyType = 44
	MSStatus                   NotifyType = 12345 // [MS-IKEE] 2.2.7: a Win32 code

	InitialContact                NotifyType = 16384
	SetWindowSize                 NotifyType = 16385
	AdditionalTSPossible          NotifyType = 16386
	IPCompSupported               NotifyType = 16387
	NATDetectionSourceIP          NotifyType = 16388
	NATDetectionDestinationIP     NotifyType = 16389
	Cookie                        NotifyType = 16390
	UseTransportMode              NotifyType = 16391
	HTTPCertLookupSupported       NotifyType = 16392
	RekeySA                       NotifyType = 16393
	ESPTFCPaddingNotSupported     NotifyType = 16394
	NonFirstFragmentsAlso         NotifyType = 16395
	MOBIKESupported               NotifyType = 16396 // RFC 4555
	AdditionalIP4Address          NotifyType = 16397
	AdditionalIP6Address          NotifyType = 16398
	NoAdditionalAddresses         NotifyType = 16399
	UpdateSAAddresses             NotifyType = 16400
	Cookie2                       NotifyType = 16401
	NoNATsAllowed                 NotifyType = 16402
	AuthLifetime                  NotifyType = 16403 // RFC 4478
	MultipleAuthSupported         NotifyType = 16404 // RFC 4739
	AnotherAuthFollows            NotifyType = 16405
	RedirectSupported             NotifyType = 16406 // RFC 5685
	Redirect                      NotifyType = 16407
	RedirectedFrom                NotifyType = 16408
	EAPOnlyAuthentication         NotifyType = 16417 // RFC 5998
	ChildlessIKEv2Supported       NotifyType = 16418 // RFC 6023
	IKEv2MessageIDSyncSupported   NotifyType = 16420 // RFC 6311
	IKEv2FragmentationSupported   NotifyType = 16430 // RFC 7383
	SignatureHashAlgorithms       NotifyType = 16431 // RFC 7427
	IntermediateExchangeSupported NotifyType = 16438 // RFC 9242
)
