package gateway

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/cmd/bridgehead/internal/pki"
)

// QuickOptions of PrepareQuickstart. Zero fields are found out.
type QuickOptions struct {
	State       string // folder for everything that is made; required
	Name        string // what clients type; "": this host's own address
	Listen      []netip.Addr
	IKEPort     uint16 // 0: 500
	NATTPort    uint16 // 0: 4500
	User        string // required
	NewPassword bool   // also where the user is there already
	Pools       []config.Pool
	DNS         []netip.Addr
	Control     string // the control socket; required
	Random      io.Reader
}

// Quickstart is a configuration made from nothing, and what a person must know
// to use it.
type Quickstart struct {
	Config   *config.Config
	File     string   // the configuration as TOML, for `serve`
	CA       string   // the file that clients must trust
	Names    []string // that clients may type; the first is recommended
	User     string
	Password string // "" where the user keeps the one of before
	Notes    []string

	lock *os.File // keeps others out of the folder
}

// Close lets others use the folder.
func (q *Quickstart) Close() error { return q.lock.Close() }

// Files below QuickOptions.State.
const (
	quickConfig = "bridgehead.toml"
	quickUsers  = "users"
	quickLock   = "lock"
)

// PrepareQuickstart makes, below o.State, a local authority, a certificate for
// this host's names and addresses, one user, and a configuration. What is
// there from an earlier run is used again, so that clients keep working.
func PrepareQuickstart(o QuickOptions) (*Quickstart, error) {
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return nil, fmt.Errorf("folder of quickstart: %w; run as root, or choose another one with --state", err)
	}
	lock, err := lockFolder(o.State)
	if err != nil {
		return nil, err
	}
	q := &Quickstart{File: filepath.Join(o.State, quickConfig), User: o.User, lock: lock}
	if err := q.prepare(o); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

// lockFolder keeps a second quickstart from changing the files of the first.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, quickLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("folder of quickstart: %w; run as root, or choose another one with --state", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another quickstart uses the folder %s; end it, or choose another one with --state", folder), f.Close())
	}
	return f, nil
}

// prepare makes everything, with the folder locked.
func (q *Quickstart) prepare(o QuickOptions) error {
	own, err := hostAddresses()
	if err != nil {
		return err
	}
	taken := networks(own)
	if q.Names, err = quickNames(o, reachable(own, outward())); err != nil {
		return err
	}
	if a, err := netip.ParseAddr(q.Names[0]); err == nil && private(a) {
		q.Notes = append(q.Notes, fmt.Sprintf("%s is a private address; for clients from the internet forward UDP ports 500 and 4500 of your router to it, and start with --name and the name or address they reach the router by", a))
	}
	issued, err := makeAuthority(o.State, q.Names)
	if err != nil {
		return err
	}
	q.CA = issued.AuthorityPath
	if !issued.NewAuthority && issued.NewServer {
		q.Notes = append(q.Notes, "the certificate is new, since this host's names have changed; clients that trust the authority need nothing")
	}
	if err := q.pickPools(&o, taken); err != nil {
		return err
	}
	q.pickResolvers(&o)
	if err := q.makeUser(o); err != nil {
		return err
	}
	if err := writeQuickConfig(q.File, q.Names[0], issued, o); err != nil {
		return err
	}
	c, warnings, err := LoadConfig(q.File)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		q.Notes = append(q.Notes, w.String())
	}
	q.Config = c
	return nil
}

// quickNames lists what the certificate must carry, first what clients are to
// type. addrs are this host's, the best one first.
func quickNames(o QuickOptions, addrs []netip.Addr) ([]string, error) {
	var names []string
	add := func(name string) {
		if a, err := netip.ParseAddr(name); err == nil {
			name = a.Unmap().String()
		}
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if o.Name != "" {
		if _, err := config.ServerName(o.Name); err != nil {
			return nil, fmt.Errorf("--name: %q %w", o.Name, err)
		}
		add(o.Name)
	}
	for _, a := range o.Listen {
		if !a.IsUnspecified() {
			add(a.String())
		}
	}
	for _, a := range addrs {
		if listensOn(o.Listen, a) {
			add(a.String())
		}
	}
	if len(names) == 0 {
		return nil, errors.New("this host has no address that a client could dial; give it one, or say its name with --name")
	}
	if host, err := os.Hostname(); err == nil && !strings.EqualFold(host, "localhost") {
		if _, err := config.ServerName(host); err == nil {
			add(host)
		}
	}
	return names, nil
}

// listensOn tells whether a gateway that listens on list, all addresses where
// it is empty, can be reached by a.
func listensOn(list []netip.Addr, a netip.Addr) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(l netip.Addr) bool {
		return l == a || l.IsUnspecified() && l.Is4() == a.Is4()
	})
}

// pickPools chooses networks for clients where none were named. The choice
// follows from the authority, so that it stays from run to run.
func (q *Quickstart) pickPools(o *QuickOptions, taken []netip.Prefix) error {
	if len(o.Pools) > 0 {
		return nil
	}
	ca, err := os.ReadFile(q.CA)
	if err != nil {
		return fmt.Errorf("authority: %w", err)
	}
	v4, v6, err := freePools(taken, rand.NewChaCha8(sha256.Sum256(ca)))
	if err != nil {
		return err
	}
	for _, p := range []netip.Prefix{v4, v6} {
		pool, err := config.ParsePool(p.String())
		if err != nil {
			return err
		}
		o.Pools = append(o.Pools, pool)
	}
	return nil
}

// pickResolvers chooses name servers for clients where none were named.
func (q *Quickstart) pickResolvers(o *QuickOptions) {
	if len(o.DNS) > 0 {
		return
	}
	if o.DNS = hostResolvers(resolverFiles); len(o.DNS) == 0 {
		o.DNS = publicResolvers
		q.Notes = append(q.Notes, "this host has no name server that clients could reach; they get Quad9's, "+addresses(o.DNS)+" (choose others with --dns)")
	}
}

// makeUser adds the user with a new password, unless it is there.
func (q *Quickstart) makeUser(o QuickOptions) error {
	file := filepath.Join(o.State, quickUsers)
	password, err := NewPassword(o.Random)
	if err != nil {
		return err
	}
	hash := auth.HashPassword([]byte(password))
	err = secrets.Add(file, secrets.User{Name: o.User, Hash: hash})
	there := new(secrets.ExistsError)
	switch {
	case errors.As(err, &there) && !o.NewPassword:
		return nil
	case errors.As(err, &there):
		err = secrets.SetPassword(file, o.User, hash)
	}
	if err == nil {
		q.Password = password
	}
	return err
}

var quickTemplate = template.Must(template.New(quickConfig).Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(
	`# Written by "bridgehead quickstart" at each of its starts. To go on from here,
# copy this folder and run: bridgehead serve --config FOLDER/` + quickConfig + `

[server]
name        = {{quote .Name}}
certificate = {{quote .Certificate}}
key         = {{quote .Key}}
chain       = {{quote .Authority}}
listen      = {{template "list" .Listen}}
ike_port    = {{.IKEPort}}
nat_port    = {{.NATTPort}}

[addresses]
pools = {{template "list" .Pools}}
dns   = {{template "list" .DNS}}

[nat]
masquerade = true

[auth.file]
path = "` + quickUsers + `"

[paths]
state   = "."
control = {{quote .Control}}
{{define "list"}}[{{range $i, $x := .}}{{if $i}}, {{end}}{{quote $x}}{{end}}]{{end}}`))

// writeQuickConfig writes the configuration as a person would.
func writeQuickConfig(file, name string, issued *pki.Issued, o QuickOptions) error {
	control, err := filepath.Abs(o.Control)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	defaults := config.Default().Server
	if o.IKEPort == 0 {
		o.IKEPort = defaults.IKEPort
	}
	if o.NATTPort == 0 {
		o.NATTPort = defaults.NATTPort
	}
	var text strings.Builder
	err = quickTemplate.Execute(&text, struct {
		Name, Control, Certificate, Key, Authority string
		Listen, Pools, DNS                         []string
		IKEPort, NATTPort                          uint16
	}{
		name, control, filepath.Base(issued.CertificatePath), filepath.Base(issued.KeyPath), filepath.Base(issued.AuthorityPath),
		texts(o.Listen), texts(o.Pools), texts(o.DNS), o.IKEPort, o.NATTPort,
	})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}

func texts[T fmt.Stringer](list []T) []string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = x.String()
	}
	return words
}
