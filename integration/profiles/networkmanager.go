package profiles

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// fakeNmcli stands in for nmcli: it writes down its arguments, each ended by a
// zero, each call by another one.
const fakeNmcli = `#!/bin/sh
printf '%s\0' "$@" >>"$CALLS"
printf '\0' >>"$CALLS"
`

// NetworkManager runs a script that calls nmcli in a folder of its own, where
// it may write, and reads the calls.
func NetworkManager(script, folder string) (*Setup, error) {
	calls := filepath.Join(folder, "calls")
	if err := os.WriteFile(filepath.Join(folder, "nmcli"), []byte(fakeNmcli), 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-s")
	cmd.Stdin = strings.NewReader(script)
	cmd.Dir = folder
	cmd.Env = []string{"PATH=" + folder + ":/usr/bin:/bin", "HOME=" + folder, "CALLS=" + calls}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		return nil, fmt.Errorf("the script: %w\n%s", err, out)
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		return nil, err
	}
	list := strings.Split(strings.TrimSuffix(string(text), "\x00\x00"), "\x00\x00")
	if len(list) != 2 || !strings.HasPrefix(list[0], "connection\x00delete\x00uuid\x00") {
		return nil, fmt.Errorf("calls of nmcli: %q", list)
	}
	return nmcliAdd(strings.Split(list[1], "\x00"))
}

// nmcliAdd reads "nmcli connection add" with its properties.
func nmcliAdd(args []string) (*Setup, error) {
	if len(args)%2 != 0 || args[0] != "connection" || args[1] != "add" {
		return nil, fmt.Errorf("nmcli %q", args)
	}
	p := map[string]string{}
	for i := 2; i < len(args); i += 2 {
		p[args[i]] = args[i+1]
	}
	data, err := nmcliOptions(p["vpn.data"])
	if err != nil {
		return nil, err
	}
	if p["type"] != "vpn" || p["vpn-type"] != "strongswan" || data["method"] != "eap" || data["virtual"] != "yes" || data["proposal"] != "yes" {
		return nil, fmt.Errorf("connection %q", p)
	}
	if _, ok := data["password"]; ok {
		return nil, errors.New("a password")
	}
	s := &Setup{Name: p["con-name"], Server: data["address"], Identity: data["remote-identity"], User: identity(data["user"]), Everything: true}
	if port := data["server-port"]; port != "" {
		if s.Port, err = strconv.Atoi(port); err != nil {
			return nil, err
		}
	}
	if domains := p["ipv4.dns-search"]; domains != "" {
		s.Domains = strings.Split(domains, ",")
	}
	if file := data["certificate"]; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		block, rest := pem.Decode(text)
		if block == nil || len(rest) > 0 {
			return nil, fmt.Errorf("%s is no certificate", file)
		}
		if s.Root, err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, err
		}
	}
	return s, s.suites(data["ike"], data["esp"])
}

// identity is what strongSwan makes of a name that carries its type.
func identity(text string) string {
	key, ok := strings.CutPrefix(text, "keyid:")
	if !ok {
		return text
	}
	if digits, ok := strings.CutPrefix(key, "#"); ok {
		octets, err := hex.DecodeString(digits)
		if err != nil {
			return text
		}
		return string(octets)
	}
	return key
}

// nmcliOptions reads a list of options: separated by commas, space around them
// left out, back-slashes before what has no meaning.
func nmcliOptions(text string) (map[string]string, error) {
	options := map[string]string{}
	var option strings.Builder
	end := func() error {
		key, value, ok := strings.Cut(strings.TrimLeft(option.String(), " "), "=")
		if !ok || key == "" {
			return fmt.Errorf("option %q", option.String())
		}
		options[key] = value
		option.Reset()
		return nil
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			option.WriteByte(text[i])
		case c == ',':
			if err := end(); err != nil {
				return nil, err
			}
		default:
			option.WriteByte(c)
		}
	}
	return options, end()
}
