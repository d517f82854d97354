package pki

import (
	"net/netip"
	"strings"
)

const (
	maxNameLen  = 253 // RFC 1035 §2.3.4, without the root's dot
	maxLabelLen = 63
)

// parseName normalizes a host name or IP address as clients type it. ip is
// valid if it is an address.
func parseName(s string) (name string, ip netip.Addr, err error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" {
			return "", netip.Addr{}, &NameError{s, "an address with a zone means something on this machine only"}
		}
		ip = ip.Unmap()
		return ip.String(), ip, nil
	}
	name = strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > maxNameLen {
		return "", netip.Addr{}, &NameError{s, "it is empty or too long"}
	}
	for label := range strings.SplitSeq(name, ".") {
		if problem := labelProblem(label); problem != "" {
			return "", netip.Addr{}, &NameError{s, problem}
		}
	}
	return name, netip.Addr{}, nil
}

// labelProblem says what is wrong with one part of a host name; "" if nothing.
func labelProblem(label string) string {
	switch {
	case label == "":
		return "a part between two dots is empty"
	case len(label) > maxLabelLen:
		return "a part between two dots is longer than 63 letters"
	case label == "*":
		return "clients refuse wildcards"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "a part begins or ends with a hyphen"
	}
	for _, c := range label {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
		case c > 127:
			return "it is not ASCII; write it in its xn-- form"
		default:
			return "the character " + string(c) + " is not allowed"
		}
	}
	return ""
}
