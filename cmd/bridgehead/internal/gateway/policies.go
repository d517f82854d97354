package gateway

import (
	"slices"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
)

// applyPolicies says to the responder what sessions are held to. ESP in UDP is
// what the userspace plane is quick at; the kernel is quick at either.
func applyPolicies(to *ikev2.Config, c *config.Config, userspace bool) {
	auto := slices.Contains(c.IKE.Encap, config.EncapAuto)
	to.ForceEncapIPv4 = auto && userspace || slices.Contains(c.IKE.Encap, config.EncapIPv4)
	to.ForceEncapIPv6 = slices.Contains(c.IKE.Encap, config.EncapIPv6)
	to.NoChildless, to.NoMOBIKE, to.WithoutQuirks = !c.IKE.Childless, !c.IKE.MOBIKE, c.IKE.QuirksOff
	to.Addresses = c.Server.Listen
	to.Unique = c.Sessions.Unique
	to.Timers.Session, to.Timers.Idle = c.Sessions.Timeout, c.Sessions.Idle
	to.Rekey = ikev2.Rekey{
		IKE: c.IKE.Rekey, Child: c.ESP.Rekey, ChildBytes: c.ESP.RekeyBytes, ChildPackets: c.ESP.RekeyPackets,
	}
}
