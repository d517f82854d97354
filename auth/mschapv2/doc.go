// Package mschapv2 runs EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2, over
// RFC 2759 and RFC 3079): the server's conversation over any auth.Verifier,
// the verifier over an auth.HashStore, and the client's side.
//
// The server asks for the identity, then for an answer to its challenge, and
// accepts only after a verified answer whose acknowledgement came in its turn.
// Of the three names a client gives (IDi, EAP identity, MS-CHAPv2 Name) only
// the last is proven, since the answer covers it; it becomes Grant.Name, and
// an EAP identity that names somebody else is refused.
package mschapv2
