package profiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

var anyUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// Android reads a profile of the strongSwan app. Keys that the app does not
// know are refused, and so is a password.
func Android(text string) (*Setup, error) {
	var p struct {
		UUID, Name, Type string
		Remote           struct {
			Addr, ID, Cert string
			Port           int
			CertReq        bool
		}
		Local struct {
			EAPID string `json:"eap_id"`
		}
		IKE   string `json:"ike-proposal"`
		ESP   string `json:"esp-proposal"`
		Split struct {
			Subnets []string
		} `json:"split-tunneling"`
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, err
	}
	if !anyUUID.MatchString(p.UUID) || p.Type != "ikev2-eap" || strings.Contains(p.IKE+p.ESP, ",") {
		return nil, fmt.Errorf("profile %+v", p)
	}
	s := &Setup{Name: p.Name, Server: p.Remote.Addr, Identity: p.Remote.ID, Port: p.Remote.Port, User: p.Local.EAPID,
		Everything: len(p.Split.Subnets) == 0, Routes: p.Split.Subnets}
	if p.Remote.Cert != "" {
		if err := s.root(p.Remote.Cert); err != nil {
			return nil, err
		}
	}
	return s, s.suites(p.IKE, p.ESP)
}
