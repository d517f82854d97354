package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"bridgehead/ikev2"
	"bridgehead/ikev2/suite"
)

// setting is one line that a configuration may hold.
type setting struct {
	path     string // section and key, dotted
	about    string // for explanations and for a missing one
	required bool
	bind     func(c *Config, v *value) []fault
	show     func(c *Config) string // as TOML; "" where there is nothing
}

// fault is what is wrong with a value, before it has a position.
type fault struct {
	index   int // of a list; -1 for the whole
	message string
	hint    string
	word    string // the part of the text that is wrong; "" for all of it
	offset  int    // of word in the text, octets
}

// section and key of the path.
func (s *setting) section() string { return s.path[:strings.LastIndexByte(s.path, '.')] }
func (s *setting) key() string     { return s.path[strings.LastIndexByte(s.path, '.')+1:] }

// need marks a setting that has no default.
func need(s setting) setting {
	s.required = true
	return s
}

// one is a setting of one value.
func one[T any](path, about string, k kind[T], at func(*Config) *T) setting {
	return setting{
		path: path, about: about,
		bind: func(c *Config, v *value) []fault {
			t, f := k.read(v, -1)
			if f != nil {
				return []fault{*f}
			}
			*at(c) = t
			return nil
		},
		show: func(c *Config) string { return k.format(*at(c)) },
	}
}

// many is a setting of a list; one value may stand without brackets.
func many[T any](path, about string, k kind[T], at func(*Config) *[]T) setting {
	return setting{
		path: path, about: about,
		bind: func(c *Config, v *value) []fault {
			items := v.items
			if v.kind != unstable.Array {
				items = []*value{v}
			}
			var faults []fault
			list := make([]T, 0, len(items))
			for i, item := range items {
				t, f := k.read(item, i)
				if f != nil {
					faults = append(faults, *f)
					continue
				}
				list = append(list, t)
			}
			if len(faults) == 0 {
				*at(c) = list
			}
			return faults
		},
		show: func(c *Config) string {
			words := make([]string, 0, len(*at(c)))
			for _, t := range *at(c) {
				words = append(words, k.format(t))
			}
			return "[" + strings.Join(words, ", ") + "]"
		},
	}
}

// words is many where one value is the rule: it is shown without brackets.
func words(path, about string, k kind[string], at func(*Config) *[]string) setting {
	s := many(path, about, k, at)
	list := s.show
	s.show = func(c *Config) string {
		if one := *at(c); len(one) == 1 {
			return k.format(one[0])
		}
		return list(c)
	}
	return s
}

// read checks the TOML type and parses.
func (k kind[T]) read(v *value, index int) (T, *fault) {
	var zero T
	if v.kind != k.toml {
		return zero, &fault{index: index, message: "is " + describe(v.kind), hint: "expected " + k.expected}
	}
	t, err := k.parse(v)
	if err == nil {
		return t, nil
	}
	f := &fault{index: index, message: fmt.Sprintf("%.80q %v", v.text, err), hint: "expected " + k.expected}
	var (
		unquoted *unquotedError
		a        *advice
		proposal *suite.ProposalError
	)
	switch {
	case errors.As(err, &unquoted):
		f.message = unquoted.Error()
	case errors.As(err, &a) && a.hint != "":
		f.hint = a.hint
	case errors.As(err, &proposal):
		f.message, f.hint = proposal.Reason, ""
		f.word, f.offset = proposal.Word, proposal.Offset
		if proposal.Word != "" {
			f.message = fmt.Sprintf("%.80q: %s", proposal.Word, proposal.Reason)
		}
	}
	return zero, f
}

// describe names a TOML type for a person.
func describe(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a text in quotes"
	case unstable.Integer:
		return "a number"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Bool:
		return "true or false"
	case unstable.Array:
		return "a list"
	default:
		return "a date or time"
	}
}

// schema is every setting, in the order in which they are explained.
var schema = append([]setting{
	need(one("server.name", "what clients type; the certificate must carry it", nameKind(), func(c *Config) *string { return &c.Server.Name })),
	need(many("server.certificate", "PEM file with the leaf, or leaf and chain; a list where RSA and ECDSA stand side by side", pathKind(), func(c *Config) *[]string { return &c.Server.Certificates })),
	need(many("server.key", "PEM file with the private key of each certificate", pathKind(), func(c *Config) *[]string { return &c.Server.Keys })),
	many("server.chain", "intermediate certificates, files or folders", pathKind(), func(c *Config) *[]string { return &c.Server.Chain }),
	many("server.listen", "addresses to listen on; none listed: all", addressKind(), func(c *Config) *[]netip.Addr { return &c.Server.Listen }),
	one("server.ike_port", "UDP port of IKE", number[uint16](1, 65535), func(c *Config) *uint16 { return &c.Server.IKEPort }),
	one("server.nat_port", "UDP port of IKE and ESP behind NAT (RFC 3948)", number[uint16](1, 65535), func(c *Config) *uint16 { return &c.Server.NATTPort }),

	need(many("addresses.pools", "where clients' addresses come from", poolKind(), func(c *Config) *[]Pool { return &c.Addresses.Pools })),
	many("addresses.dns", "name servers for clients", addressKind(), func(c *Config) *[]netip.Addr { return &c.Addresses.DNS }),
	many("addresses.subnets", "what clients may reach; none listed: everything", prefixKind(), func(c *Config) *[]netip.Prefix { return &c.Addresses.Subnets }),
	many("addresses.domains", "domains that clients resolve through the tunnel where only subnets go through it (RFC 8598)", domainKind(), func(c *Config) *[]string { return &c.Addresses.Domains }),
	one("addresses.dhcp_inform", "answer DHCPINFORM inside the tunnel, from which Windows takes its split routes", boolKind(), func(c *Config) *bool { return &c.Addresses.DHCPInform }),
	one("addresses.announce", `interface on which ARP and NDP are answered for clients; "": none`, optional(deviceKind()), func(c *Config) *string { return &c.Addresses.Announce }),

	one("ike.proposals", "what IKE is protected with", proposalsKind(`proposals such as "aes256-sha256-modp2048,aes128gcm16-prfsha256-x25519"`, parseIKE), func(c *Config) *suite.Proposals { return &c.IKE.Proposals }),
	one("ike.order", "whose preference counts", orderKind(), func(c *Config) *suite.Order { return &c.IKE.Order }),
	one("ike.fragment_size", "largest IP packet that IKE sends, octets (RFC 7383)", number(576, 9000), func(c *Config) *int { return &c.IKE.FragmentSize }),
	one("ike.dpd", `silence before a client is asked for a sign of life; "0" never asks`, durationKind(), func(c *Config) *time.Duration { return &c.IKE.DPD }),
	one("ike.login_timeout", "how long a login may take, the typing of the password included", durationKind(), func(c *Config) *time.Duration { return &c.IKE.LoginTimeout }),
	one("ike.half_open_per_address", "logins under way from one address", number(1, 100000), func(c *Config) *int { return &c.IKE.HalfOpenPerAddress }),
	one("ike.half_open_total", "logins under way in all", number(1, 1000000), func(c *Config) *int { return &c.IKE.HalfOpenTotal }),
	one("ike.cookie_threshold", "logins under way from which on clients must prove their address (RFC 7296 §2.6)", number(1, 1000000), func(c *Config) *int { return &c.IKE.CookieThreshold }),
	many("ike.encap", `families whose clients send ESP in UDP, NAT or none; "none": only where there is a NAT; "auto": what the data plane likes`, encapKind(), func(c *Config) *[]Encap { return &c.IKE.Encap }),
	one("ike.childless", "clients may log in without a Child SA and make it later (RFC 6023)", boolKind(), func(c *Config) *bool { return &c.IKE.Childless }),
	one("ike.mobike", "clients may change their network within a session (RFC 4555)", boolKind(), func(c *Config) *bool { return &c.IKE.MOBIKE }),
	one("ike.rekey_time", `age at which the gateway itself replaces an IKE SA; "0" leaves it to the clients`, durationKind(), func(c *Config) *time.Duration { return &c.IKE.Rekey }),
	many("ike.quirks_off", "allowances for peculiar clients that are not to be made, by id", quirkKind(), func(c *Config) *[]ikev2.Quirk { return &c.IKE.QuirksOff }),

	one("esp.proposals", "what traffic is protected with", proposalsKind(`proposals such as "aes128gcm16,aes256-sha256"`, parseESP), func(c *Config) *suite.Proposals { return &c.ESP.Proposals }),
	one("esp.rekey_time", `age at which the gateway itself replaces a Child SA; "0" leaves it to the clients`, durationKind(), func(c *Config) *time.Duration { return &c.ESP.Rekey }),
	one("esp.rekey_bytes", "the same by octets in one direction; 0: never", amountKind(), func(c *Config) *uint64 { return &c.ESP.RekeyBytes }),
	one("esp.rekey_packets", "the same by packets in one direction; 0: never", amountKind(), func(c *Config) *uint64 { return &c.ESP.RekeyPackets }),

	one("sessions.unique", "what becomes of a client's former session when it logs in anew", uniqueKind(), func(c *Config) *ikev2.Unique { return &c.Sessions.Unique }),
	one("sessions.timeout", `the longest that any session lasts; "0": for ever`, durationKind(), func(c *Config) *time.Duration { return &c.Sessions.Timeout }),
	one("sessions.idle_timeout", `the longest that any session lasts without traffic; "0": for ever`, durationKind(), func(c *Config) *time.Duration { return &c.Sessions.Idle }),

	one(SettingPlane, "how traffic is moved", choice(PlaneAuto, PlaneKernel, PlaneUserspace), func(c *Config) *string { return &c.DataPlane.Kind }),
	one("dataplane.device", "name of the TUN device; %d becomes a free number", deviceKind(), func(c *Config) *string { return &c.DataPlane.Device }),
	one("dataplane.mtu", "of the TUN device, octets", number(1280, 9000), func(c *Config) *int { return &c.DataPlane.MTU }),
	one("dataplane.output_mark", "netfilter mark of protected packets on their way to clients, set by kernel ESP; 0: none", number[uint32](0, math.MaxUint32), func(c *Config) *uint32 { return &c.DataPlane.OutputMark }),
	one("dataplane.forward", "make the host a router that answers NDP for clients while the gateway runs, where it is none yet", boolKind(), func(c *Config) *bool { return &c.DataPlane.Forward }),

	one("nat.masquerade", "clients appear with the gateway's own address", boolKind(), func(c *Config) *bool { return &c.NAT.Masquerade }),

	one("hooks.updown", `program that hears of sessions as strongSwan's updown script does; "": none`, optional(pathKind()), func(c *Config) *string { return &c.Hooks.UpDown }),
	one("hooks.timeout", "how long one run of it may take", durationKind(), func(c *Config) *time.Duration { return &c.Hooks.Timeout }),

	words("auth.backend", "who decides; of several, which are a list, the first that knows the user", backendKind(), func(c *Config) *[]string { return &c.Auth.Backends }),
	one("auth.outage", `where one of several can't be asked: "refuse" the login, or ask the "next"`, choice(OutageRefuse, OutageNext), func(c *Config) *string { return &c.Auth.Outage }),
	one("auth.file.path", "the file of users", pathKind(), func(c *Config) *string { return &c.Auth.File.Path }),
	one("auth.file.format", "the form of that file", choice(FormatAuto, FormatUsers, FormatSecrets), func(c *Config) *string { return &c.Auth.File.Format }),
	one("auth.break_glass.path", `users file with accounts that work only while LDAP or RADIUS can't be asked; "": none`, optional(pathKind()), func(c *Config) *string { return &c.Auth.BreakGlass.Path }),

	one("auth.radius.method", `"eap": the server ends any method of EAP; "mschapv2": the gateway ends EAP-MSCHAPv2, for servers without EAP (RFC 2548)`, choice(MethodEAP, MethodMSCHAPv2), func(c *Config) *string { return &c.Auth.RADIUS.Method }),
	one("auth.radius.identity", `who asks for the EAP identity: the gateway asks the "client", the "server" does, or nobody: it is that of "ike"`, choice(IdentityClient, IdentityServer, IdentityIKE), func(c *Config) *string { return &c.Auth.RADIUS.Identity }),
	one("auth.radius.nas_identifier", `name of this gateway to the servers; "": server.name`, textKind("a name of at most 253 octets", 253), func(c *Config) *string { return &c.Auth.RADIUS.NASIdentifier }),
	one("auth.radius.station_port", "ports stand in Called- and Calling-Station-Id", boolKind(), func(c *Config) *bool { return &c.Auth.RADIUS.StationPort }),
	one("auth.radius.framed_mtu", "longest EAP packet that servers send, octets (RFC 3579)", number(64, 4000), func(c *Config) *int { return &c.Auth.RADIUS.FramedMTU }),
	one("auth.radius.step_time", `how long a server may take for one answer; "0": until 10s before ike.login_timeout; with Android 10s at most`, durationKind(), func(c *Config) *time.Duration { return &c.Auth.RADIUS.StepTime }),

	many("dae.listen", "addresses for Disconnect- and CoA-Requests over UDP (RFC 5176), the port being 3799; none listed: none is taken", socketKind(daePort), func(c *Config) *[]netip.AddrPort { return &c.DAE.Listen }),
	many("dae.tls.listen", "the same over TLS (RFC 6614), the port being 2083", socketKind(daeTLSPort), func(c *Config) *[]netip.AddrPort { return &c.DAE.TLS.Listen }),
	one("dae.tls.ca", "PEM file with who may sign the clients' certificates", optional(pathKind()), func(c *Config) *string { return &c.DAE.TLS.CA }),
	one("dae.tls.certificate", `PEM file with the gateway's certificate to the clients, leaf or leaf and chain; "": the first of server.certificate`, optional(pathKind()), func(c *Config) *string { return &c.DAE.TLS.Certificate }),
	one("dae.tls.key", `PEM file with its key; "": the first of server.key`, optional(pathKind()), func(c *Config) *string { return &c.DAE.TLS.Key }),

	one("accounting.backend", "who is told of sessions, their time and their traffic", choice(AccountingNone, AccountingRADIUS), func(c *Config) *string { return &c.Accounting.Backend }),
	one("accounting.interim", `time between two reports about a session that is up, where its user has no other; "0": none`, durationKind(), func(c *Config) *time.Duration { return &c.Accounting.Interim }),
	one("accounting.spool_limit", "how much may wait on disk while no server answers, octets", amountKind(), func(c *Config) *uint64 { return &c.Accounting.SpoolLimit }),
	one("accounting.when_full", "what happens then", choice(FullDropInterims, FullRefuseLogins), func(c *Config) *string { return &c.Accounting.WhenFull }),
	one("accounting.required", "a session begins only once a server has answered that it does", boolKind(), func(c *Config) *bool { return &c.Accounting.Required }),

	one("log.level", "what is logged", levelKind(), func(c *Config) *slog.Level { return &c.Log.Level }),
	one("log.format", "how it is written", choice(LogAuto, LogText, LogJSON), func(c *Config) *string { return &c.Log.Format }),

	one("paths.state", "leases and what else must survive", pathKind(), func(c *Config) *string { return &c.Paths.State }),
	one("paths.control", "the control socket", pathKind(), func(c *Config) *string { return &c.Paths.Control }),
}, ldapSettings...)
