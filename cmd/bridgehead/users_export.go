package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridgehead/auth/secrets"
	"bridgehead/auth/secrets/convert"
)

// exportFlags is the command line of users export.
type exportFlags struct {
	to, out, base     string
	ldif              convert.LDIFOptions
	entries, hash     string
	firstUID          int
	toTerminal, force bool
}

func (a *app) usersExport(file *string) *cobra.Command {
	var o exportFlags
	c := &cobra.Command{
		Use:   "export --to FORMAT",
		Short: "Write the users for a directory, FreeRADIUS or Samba",
		Long: `Export writes the users of the users file, hashes and all, as LDIF, as
FreeRADIUS' users or as Samba's smbpasswd. A hash is as good as its password for
logins: --out makes a file of mode 0600, or keeps owner and group of one that
--force replaces, and a terminal gets nothing unless --show says so. What a
format can't hold is told on standard error.

LDIF has whole entries (--entries new), changes of entries that have a hash
(existing) or changes of entries that get the object class, too (extend).`,
		Example: `  bridgehead users export --to ldif --base ou=people,dc=example,dc=org --sid S-1-5-21-1-2-3 --out users.ldif
  bridgehead users export --to ldif --entries existing --dn 'uid={user},cn=users,cn=accounts,dc=example,dc=org' --hash ipa --out users.ldif
  bridgehead users export --to freeradius --out /etc/freeradius/3.0/users`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			write, err := o.writer()
			if err != nil {
				return err
			}
			users, problems, err := secrets.List(*file)
			if err != nil {
				return err
			}
			for _, p := range problems {
				fmt.Fprintln(a.err, visible(p.Error()))
			}
			return a.exportUsers(o, users, write)
		},
	}
	f := c.Flags()
	f.StringVar(&o.to, "to", "", "`FORMAT`: ldif, freeradius or smbpasswd")
	f.StringVar(&o.out, "out", "", "`FILE` to write; without it, standard output")
	f.StringVar(&o.base, "base", "", "`DN` below which entries are uid=NAME")
	f.StringVar(&o.ldif.DN, "dn", "", "`DN` of an entry, with "+convert.UserMark+" for the name")
	f.StringVar(&o.entries, "entries", string(convert.NewEntries), "what LDIF is for: new, existing or extend")
	f.StringVar(&o.hash, "hash", string(convert.SambaHash), "where LDIF has the hash: samba (sambaNTPassword) or ipa (ipaNTHash)")
	f.StringVar(&o.ldif.SID, "sid", "", "`SID` of the domain, for entries that get their first hash")
	f.IntVar(&o.ldif.FirstRID, "first-rid", 1000, "last part of the SID of the first user")
	f.IntVar(&o.firstUID, "first-uid", 10000, "user id of the first user in smbpasswd")
	f.BoolVar(&o.toTerminal, "show", false, "print hashes to a terminal")
	f.BoolVar(&o.force, "force", false, "replace a file that is there")
	return c
}

// writer is what writes the format that the flags ask for.
func (o *exportFlags) writer() (func(io.Writer, []secrets.User) ([]convert.Line, error), error) {
	switch o.to {
	case "freeradius":
		return convert.WriteFreeRADIUS, nil
	case "smbpasswd":
		return func(w io.Writer, users []secrets.User) ([]convert.Line, error) {
			return convert.WriteSMBPasswd(w, users, convert.SMBPasswdOptions{FirstUID: o.firstUID, Now: time.Now()})
		}, nil
	case "ldif":
	default:
		return nil, usage("--to", errors.New("expected ldif, freeradius or smbpasswd"))
	}
	o.ldif.Entries, o.ldif.Hash, o.ldif.Now = convert.Entries(o.entries), convert.Hash(o.hash), time.Now()
	if o.base != "" {
		o.ldif.DN = "uid=" + convert.UserMark + "," + o.base
	}
	switch {
	case !strings.Contains(o.ldif.DN, convert.UserMark):
		return nil, usage("--base", errors.New("name the DN that the entries stand below, or --dn with "+convert.UserMark+" in it"))
	case !slices.Contains([]convert.Entries{convert.NewEntries, convert.ExistingEntries, convert.ExtendedEntries}, o.ldif.Entries):
		return nil, usage("--entries", errors.New("expected new, existing or extend"))
	case o.ldif.Hash != convert.SambaHash && o.ldif.Hash != convert.IPAHash:
		return nil, usage("--hash", errors.New("expected samba or ipa"))
	case o.ldif.Entries != convert.ExistingEntries && o.ldif.SID == "":
		return nil, usage("--sid", errors.New("the object class wants a SID; \"net getlocalsid\" prints that of a Samba domain"))
	}
	return func(w io.Writer, users []secrets.User) ([]convert.Line, error) {
		return convert.WriteLDIF(w, users, o.ldif)
	}, nil
}

// exportUsers writes the users and tells what was left out.
func (a *app) exportUsers(o exportFlags, users []secrets.User, write func(io.Writer, []secrets.User) ([]convert.Line, error)) error {
	if o.out == "" && isTerminal(a.out) && !o.toTerminal {
		return usage("--out", errors.New("a terminal gets no hashes: name a file, or give --show"))
	}
	var text bytes.Buffer
	lines, err := write(&text, users)
	defer func() { clear(text.Bytes()) }()
	if err != nil {
		return err
	}
	left := 0
	for _, l := range lines {
		if l.Outcome == convert.NotTakenOver {
			left++
		}
		if l.Note != "" {
			fmt.Fprintf(a.err, "%s: %s: %s\n", visible(l.User), l.Outcome, visible(l.Note))
		}
	}
	if o.out == "" {
		_, err = a.out.Write(text.Bytes())
	} else {
		err = secrets.WriteExport(o.out, text.Bytes(), o.force)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%d users written, %d left out\n", len(lines)-left, left)
	if left > 0 {
		return errSaid
	}
	return nil
}
