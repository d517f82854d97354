package provision

import (
	"bytes"
	"encoding/json"
)

// sswan is a profile of the strongSwan app for Android.
type sswan struct {
	UUID   string `json:"uuid"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Remote struct {
		Addr    string `json:"addr"`
		Port    uint16 `json:"port,omitempty"`
		ID      string `json:"id"`
		Cert    []byte `json:"cert,omitempty"` // base64 of DER
		CertReq bool   `json:"certreq"`
	} `json:"remote"`
	Local struct {
		EAPID string `json:"eap_id,omitempty"`
	} `json:"local"`
	IKE   string     `json:"ike-proposal"`
	ESP   string     `json:"esp-proposal"`
	Split *sswanNets `json:"split-tunneling,omitempty"`
}

type sswanNets struct {
	Subnets []string `json:"subnets"`
}

// android writes a profile of the strongSwan app. Android's own client takes
// no file.
func (w writer) android(p *Profile) {
	p.File, p.MediaType = w.slug()+".sswan", "application/vnd.strongswan.profile"
	s := sswan{UUID: w.uuid("android"), Name: w.Name, Type: "ikev2-eap", IKE: strongSwanWords(w.ike), ESP: strongSwanWords(w.esp)}
	s.Remote.Addr, s.Remote.ID, s.Remote.CertReq = w.Server, w.Server, true
	if w.moved() {
		s.Remote.Port = w.NATTPort // see moved
	}
	if w.Authority != nil {
		s.Remote.Cert = w.Authority.Raw
	}
	s.Local.EAPID = w.User
	if len(w.Subnets) > 0 {
		s.Split = &sswanNets{}
		for _, n := range w.reached() {
			s.Split.Subnets = append(s.Split.Subnets, n.String())
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(s) // strings and numbers into a Buffer never fail
	p.Text = b.String()
	p.Notes = append(p.Notes, "For the strongSwan app. Android's own client takes no file: IKEv2/IPSec MSCHAPv2, server and IPSec identifier "+w.Server+".")
	if w.User == "" {
		p.Notes = append(p.Notes, "The app asks for the user name when it imports the profile.")
	}
}
