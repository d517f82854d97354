package message

import "strconv"

// named is the name of a registered value, or what and its number in
// parentheses for any other.
func named[N ~uint8 | ~uint16](names map[N]string, what string, n N) string {
	if name, ok := names[n]; ok {
		return name
	}
	return what + "(" + strconv.Itoa(int(n)) + ")"
}

// String is the payload's notation of RFC 7296 §3.2.
func (t PayloadType) String() string { return named(payloadNames, "payload", t) }

var payloadNames = map[PayloadType]string{
	NoNextPayload: "none", TypeSA: "SA", TypeKE: "KE", TypeIDi: "IDi", TypeIDr: "IDr", TypeCert: "CERT",
	TypeCertReq: "CERTREQ", TypeAuth: "AUTH", TypeNonce: "Nonce", TypeNotify: "N", TypeDelete: "D",
	TypeVendorID: "V", TypeTSi: "TSi", TypeTSr: "TSr", TypeSK: "SK", TypeCP: "CP", TypeEAP: "EAP", TypeSKF: "SKF",
}

// String is the exchange's IANA name.
func (t ExchangeType) String() string { return named(exchangeNames, "exchange", t) }

var exchangeNames = map[ExchangeType]string{
	ExchangeSAInit: "IKE_SA_INIT", ExchangeAuth: "IKE_AUTH", ExchangeCreateChildSA: "CREATE_CHILD_SA",
	ExchangeInformational: "INFORMATIONAL", ExchangeSessionResume: "IKE_SESSION_RESUME", ExchangeIntermediate: "IKE_INTERMEDIATE",
}

// String is the protocol's IANA name.
func (p Protocol) String() string { return named(protocolNames, "protocol", p) }

var protocolNames = map[Protocol]string{
	ProtocolNone: "none", ProtocolIKE: "IKE", ProtocolAH: "AH", ProtocolESP: "ESP",
}

// String is the transform type's IANA abbreviation.
func (t TransformType) String() string { return named(transformTypeNames, "transform", t) }

var transformTypeNames = map[TransformType]string{
	TransformENCR: "ENCR", TransformPRF: "PRF", TransformINTEG: "INTEG", TransformKE: "KE", TransformESN: "ESN",
}

// String is the kind's IANA name.
func (k IDKind) String() string { return named(idNames, "identity", k) }

var idNames = map[IDKind]string{
	IDIPv4Addr: "ID_IPV4_ADDR", IDFQDN: "ID_FQDN", IDRFC822Addr: "ID_RFC822_ADDR", IDIPv6Addr: "ID_IPV6_ADDR",
	IDDERASN1DN: "ID_DER_ASN1_DN", IDDERASN1GN: "ID_DER_ASN1_GN", IDKeyID: "ID_KEY_ID",
}

// String is the method's IANA name.
func (m AuthMethod) String() string { return named(authNames, "method", m) }

var authNames = map[AuthMethod]string{
	AuthRSASHA1: "RSA Digital Signature", AuthSharedKey: "Shared Key Message Integrity Code",
	AuthECDSA256: "ECDSA with SHA-256 on the P-256 curve", AuthECDSA384: "ECDSA with SHA-384 on the P-384 curve",
	AuthECDSA521: "ECDSA with SHA-512 on the P-521 curve", AuthNull: "NULL Authentication", AuthSignature: "Digital Signature",
}

// String is the attribute's IANA name.
func (t CPAttributeType) String() string { return named(cpAttributeNames, "attribute", t) }

var cpAttributeNames = map[CPAttributeType]string{
	InternalIP4Address: "INTERNAL_IP4_ADDRESS", InternalIP4Netmask: "INTERNAL_IP4_NETMASK", InternalIP4DNS: "INTERNAL_IP4_DNS",
	InternalIP4NBNS: "INTERNAL_IP4_NBNS", InternalIP4DHCP: "INTERNAL_IP4_DHCP", ApplicationVersion: "APPLICATION_VERSION",
	InternalIP6Address: "INTERNAL_IP6_ADDRESS", InternalIP6DNS: "INTERNAL_IP6_DNS", InternalIP6DHCP: "INTERNAL_IP6_DHCP",
	InternalIP4Subnet: "INTERNAL_IP4_SUBNET", SupportedAttributes: "SUPPORTED_ATTRIBUTES", InternalIP6Subnet: "INTERNAL_IP6_SUBNET",
	InternalDNSDomain: "INTERNAL_DNS_DOMAIN", InternalDNSSECTA: "INTERNAL_DNSSEC_TA",
	InternalIP4Server: "INTERNAL_IP4_SERVER", InternalIP6Server: "INTERNAL_IP6_SERVER",
}

// IsError reports whether the notification is an error rather than a status.
func (t NotifyType) IsError() bool { return t < 16384 }

// String is the notification's IANA name, or Microsoft's for MSStatus.
func (t NotifyType) String() string { return named(notifyNames, "notify", t) }

var notifyNames = map[NotifyType]string{
	UnsupportedCriticalPayload: "UNSUPPORTED_CRITICAL_PAYLOAD", InvalidIKESPI: "INVALID_IKE_SPI",
	InvalidMajorVersion: "INVALID_MAJOR_VERSION", InvalidSyntax: "INVALID_SYNTAX", InvalidMessageID: "INVALID_MESSAGE_ID",
	InvalidSPI: "INVALID_SPI", NoProposalChosen: "NO_PROPOSAL_CHOSEN", InvalidKEPayload: "INVALID_KE_PAYLOAD",
	AuthenticationFailed: "AUTHENTICATION_FAILED", SinglePairRequired: "SINGLE_PAIR_REQUIRED",
	NoAdditionalSAs: "NO_ADDITIONAL_SAS", InternalAddressFailure: "INTERNAL_ADDRESS_FAILURE",
	FailedCPRequired: "FAILED_CP_REQUIRED", TSUnacceptable: "TS_UNACCEPTABLE", InvalidSelectors: "INVALID_SELECTORS",
	UnacceptableAddresses: "UNACCEPTABLE_ADDRESSES", UnexpectedNATDetected: "UNEXPECTED_NAT_DETECTED",
	UseAssignedHoA: "USE_ASSIGNED_HoA", TemporaryFailure: "TEMPORARY_FAILURE", ChildSANotFound: "CHILD_SA_NOT_FOUND",
	MSStatus: "MICROSOFT_STATUS",

	InitialContact: "INITIAL_CONTACT", SetWindowSize: "SET_WINDOW_SIZE", AdditionalTSPossible: "ADDITIONAL_TS_POSSIBLE",
	IPCompSupported: "IPCOMP_SUPPORTED", NATDetectionSourceIP: "NAT_DETECTION_SOURCE_IP",
	NATDetectionDestinationIP: "NAT_DETECTION_DESTINATION_IP", Cookie: "COOKIE", UseTransportMode: "USE_TRANSPORT_MODE",
	HTTPCertLookupSupported: "HTTP_CERT_LOOKUP_SUPPORTED", RekeySA: "REKEY_SA",
	ESPTFCPaddingNotSupported: "ESP_TFC_PADDING_NOT_SUPPORTED", NonFirstFragmentsAlso: "NON_FIRST_FRAGMENTS_ALSO",
	MOBIKESupported: "MOBIKE_SUPPORTED", AdditionalIP4Address: "ADDITIONAL_IP4_ADDRESS",
	AdditionalIP6Address: "ADDITIONAL_IP6_ADDRESS", NoAdditionalAddresses: "NO_ADDITIONAL_ADDRESSES",
	UpdateSAAddresses: "UPDATE_SA_ADDRESSES", Cookie2: "COOKIE2", NoNATsAllowed: "NO_NATS_ALLOWED",
	AuthLifetime: "AUTH_LIFETIME", MultipleAuthSupported: "MULTIPLE_AUTH_SUPPORTED", AnotherAuthFollows: "ANOTHER_AUTH_FOLLOWS",
	RedirectSupported: "REDIRECT_SUPPORTED", Redirect: "REDIRECT", RedirectedFrom: "REDIRECTED_FROM",
	EAPOnlyAuthentication: "EAP_ONLY_AUTHENTICATION", ChildlessIKEv2Supported: "CHILDLESS_IKEV2_SUPPORTED",
	IKEv2MessageIDSyncSupported: "IKEV2_MESSAGE_ID_SYNC_SUPPORTED", IKEv2FragmentationSupported: "IKEV2_FRAGMENTATION_SUPPORTED",
	SignatureHashAlgorithms: "SIGNATURE_HASH_ALGORITHMS", IntermediateExchangeSupported: "INTERMEDIATE_EXCHANGE_SUPPORTED",
}
