package pki

import "fmt"

// Symptom is what the users of some clients see.
type Symptom struct {
	Clients string `json:"clients"` // the kind of client
	Shows   string `json:"shows"`   // the message, word for word
}

func (s Symptom) String() string { return fmt.Sprintf("%s: %q", s.Clients, s.Shows) }

// What clients show when they refuse the gateway's certificate.
var (
	windows       = Symptom{"Windows", "13801: IKE authentication credentials are unacceptable"}
	apple         = Symptom{"iOS and macOS", "User Authentication failed"}
	appleByHand   = Symptom{"iOS, set up by hand", "The VPN server did not respond"}
	android       = Symptom{"Android", "Unsuccessful"}
	heedsUsage    = Symptom{"iOS and macOS, where they heed keyUsage", apple.Shows}
	strongSwanApp = Symptom{"the strongSwan app", "Failed to establish VPN: Verifying server authentication failed."}

	everyone = []Symptom{windows, apple, android, strongSwanApp}
)
