package gateway

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
)

// TestPolicies holds what the settings of sessions say to the responder.
func TestPolicies(t *testing.T) {
	c := config.Default()
	c.IKE.Childless = false
	c.IKE.MOBIKE, c.IKE.QuirksOff, c.IKE.Rekey = false, []ikev2.Quirk{ikev2.QuirkW2}, time.Hour
	c.ESP.Rekey, c.ESP.RekeyBytes, c.ESP.RekeyPackets = 2*time.Hour, 3, 4
	c.Sessions = config.Sessions{Unique: ikev2.UniqueKeep, Timeout: 5 * time.Hour, Idle: 6 * time.Hour}
	c.IKE.Encap = []config.Encap{config.EncapNone}
	var got ikev2.Config
	applyPolicies(&got, c, true)
	want := ikev2.Config{
		NoChildless: true, NoMOBIKE: true, WithoutQuirks: []ikev2.Quirk{ikev2.QuirkW2}, Unique: ikev2.UniqueKeep,
		Timers: ikev2.Timers{Session: 5 * time.Hour, Idle: 6 * time.Hour},
		Rekey:  ikev2.Rekey{IKE: time.Hour, Child: 2 * time.Hour, ChildBytes: 3, ChildPackets: 4},
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%+v, expected %+v", got, want)
	}
}

func TestEncapsulationByFamily(t *testing.T) {
	for _, c := range []struct {
		words      []config.Encap
		userspace  bool
		ipv4, ipv6 bool
	}{
		{[]config.Encap{config.EncapAuto}, true, true, false},
		{[]config.Encap{config.EncapAuto}, false, false, false},
		{[]config.Encap{config.EncapNone}, true, false, false},
		{[]config.Encap{config.EncapIPv4}, false, true, false},
		{[]config.Encap{config.EncapIPv6}, true, false, true},
		{[]config.Encap{config.EncapIPv4, config.EncapIPv6}, false, true, true},
	} {
		conf := config.Default()
		conf.IKE.Encap = c.words
		var got ikev2.Config
		applyPolicies(&got, conf, c.userspace)
		if got.ForceEncapIPv4 != c.ipv4 || got.ForceEncapIPv6 != c.ipv6 {
			t.Errorf("%s, userspace %v: IPv4 %v, IPv6 %v", fmt.Sprint(c.words), c.userspace, got.ForceEncapIPv4, got.ForceEncapIPv6)
		}
	}
}
