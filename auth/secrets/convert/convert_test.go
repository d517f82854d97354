package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
)

const sesame = "sesame, open" // a password; its hash is made in the tests

func hashOf(password string) auth.NTHash { return auth.HashPassword([]byte(password)) }

func hexOf(password string) string {
	return hexHash(secrets.User{Hash: hashOf(password)})
}

// brief is a line without its file.
func brief(l Line) string {
	return strings.TrimSpace(fmt.Sprintf("%d:%d %s %s %s", l.Line, l.Column, l.User, l.Outcome, l.Note))
}

// user is a line of a users file as that has it.
func user(t *testing.T, name, password string, settings ...string) secrets.User {
	t.Helper()
	u := secrets.User{Name: name, Hash: hashOf(password)}
	for _, s := range settings {
		if s == "disabled" {
			u.Disabled = true
			continue
		}
		key, value, _ := strings.Cut(s, "=")
		if err := u.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		users            []secrets.User
		lines            []string
	}{
		{
			"ipsec.secrets", "ipsec.secrets", ": RSA key.pem\nalice bob : EAP \"sesame, open\"\nx : EAP \"never closed\n# y : EAP \"z\"\n: PSK \"sesame, open\"\n",
			[]secrets.User{user(t, "alice", sesame), user(t, "bob", sesame)},
			[]string{
				"1:1  not taken over a private key", "2:1 alice taken over", "2:1 bob taken over", "3:9  not taken over the quote is never closed",
				"5:3  remark PSK is not for user logins",
			},
		},
		{
			"smbpasswd", "smbpasswd", "# by Samba\nalice:1000:" + noLM + ":" + hexOf(sesame) + ":[U          ]:LCT-4A1B2C3D:\nbob:1001:" + noLM + ":" + hexOf(sesame) + ":[UD         ]:LCT-00000000:\n" +
				"pc$:1002:" + noLM + ":" + hexOf(sesame) + ":[W          ]:LCT-0:\nnone:1003:" + noLM + ":" + noLM + ":[U          ]:LCT-0:\nopen:1004:NO PASSWORD:" + hexOf(sesame) + ":[NU         ]:LCT-0:\nold:1:" + noLM + ":" + hexOf(sesame) + "\nodd\nalice:1:x:" + hexOf("x") + ":[U]:\n",
			[]secrets.User{user(t, "alice", sesame), user(t, "bob", sesame, "disabled"), user(t, "old", sesame)},
			[]string{
				"2:1 alice taken over", "3:1 bob taken over", "4:1 pc$ not taken over an account of a machine", "5:44 none not taken over expected an NT hash",
				"6:1 open not taken over an account without a password", "7:1 old taken over", "8:1  not taken over expected NAME:UID", `9:1 alice not taken over "alice" stands in line 2`,
			},
		},
		{
			"FreeRADIUS", "authorize", "# users\nalice Cleartext-Password := \"sesame, open\"\n\tFramed-IP-Address = 192.0.2.9,\n\tFramed-Route = \"10.1.2.3/8 192.0.2.1 1\", Framed-Route += '172.16.0.0/12', # why\n\tMS-Primary-DNS-Server = 192.0.2.53,\n\tSession-Timeout = 3600, Reply-Message = \"Hi, %{User-Name}\"\n" +
				"\"John Doe\"\tNT-Password := 0x" + hexOf(sesame) + ", Simultaneous-Use := 2\n\nbob SHA-Password := \"x\"\ncarl Cleartext-Password := 'sesame, open', NAS-IP-Address == 192.0.2.1\n" +
				"eve Cleartext-Password := sesame1, Auth-Type := Reject\nDEFAULT Auth-Type := Reject\n\tReply-Message = \"no\"\n$INCLUDE more\nodd Cleartext-Password := \"never closed\nlast NT-Password := 12\n",
			[]secrets.User{
				user(t, "alice", sesame, "ip4=192.0.2.9", "routes=10.0.0.0/8,172.16.0.0/12", "dns=192.0.2.53", "session_timeout=1h"),
				user(t, "John Doe", sesame, "max_sessions=2"), user(t, "eve", "sesame1", "disabled"),
			},
			[]string{
				"2:1 alice taken over left out: Reply-Message", "7:1 John Doe taken over", "9:1 bob not taken over SHA-Password is no NT hash", "10:1 carl not taken over counts only where NAS-IP-Address",
				"11:1 eve taken over the password has 7", "12:1 DEFAULT not taken over", "14:1  not taken over another file", "15:1 odd not taken over line 15 is no list", "16:1 last not taken over expected 32",
			},
		},
		{
			"CSV", "people.csv", "\uFEFFName;password;NT_hash;routes;phone;disabled\r\nalice;\"sesame, open\";;10.0.0.0/8,172.16.0.0/12;12;no\r\nbob;;" + strings.ToLower(hexOf(sesame)) + ";;;yes\r\nüü;x;;10.0.0.1/8;;\r\n" +
				"\"open;x\r\nshort;x\r\nnone;;;;;\r\nboth;a;b;;;\r\nhash;;12;;;\r\nmaybe;x;;;;perhaps\r\n",
			[]secrets.User{user(t, "alice", sesame, "routes=10.0.0.0/8,172.16.0.0/12"), user(t, "bob", sesame, "disabled")},
			[]string{
				"1:1  remark column 5 has no name of ours", "2:1 alice taken over", "3:1 bob taken over", "4:7 üü not taken over expected a value such as routes=", "5:1  not taken over a quote is wrong",
				"6:1  not taken over 2 cells, expected 6", "7:1 none not taken over has neither", "8:8 both not taken over has a password and a hash", "9:7 hash not taken over expected an NT hash", "10:12 maybe not taken over expected yes or no",
			},
		},
		{"CSV without a heading", "people.csv", "alice,sesame1\nbob,sesame1\n", nil, []string{"1:1  remark", "1:1  remark", "1:1  not taken over expected a heading"}},
		{"empty CSV", "people.csv", "", nil, []string{"0:0  not taken over the file is empty"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.file)
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Read(path, "")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.users, got.Users); d != "" {
				t.Error(d)
			}
			for i := range max(len(got.Lines), len(test.lines)) {
				if i >= len(got.Lines) || i >= len(test.lines) || !strings.HasPrefix(brief(got.Lines[i]), test.lines[i]) {
					t.Fatalf("line %d: got %+v, want %q", i, got.Lines, test.lines)
				}
			}
			shown, err := json.Marshal(got)
			if err != nil || strings.Contains(string(shown), "sesame") || strings.Contains(strings.ToUpper(string(shown)), hexOf(sesame)) {
				t.Errorf("%v, a secret is shown: %s", err, shown)
			}
		})
	}
}

func TestFormatIsGuessedOrNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	if _, err := Read(path, ""); err == nil || !strings.Contains(err.Error(), "ipsec.secrets, smbpasswd, freeradius, csv") {
		t.Error(err)
	}
	if _, err := Read(path, CSV); err == nil || !strings.Contains(err.Error(), "can't read") {
		t.Error(err)
	}
}

// TestThereAndBack: what FreeRADIUS and Samba get is taken over as it was.
func TestThereAndBack(t *testing.T) {
	users := []secrets.User{
		user(t, "alice", sesame, "group=staff", "pool=a", "pool6=b", "ip4=192.0.2.9", "ip6=2001:db8::9", "dns=192.0.2.53,192.0.2.54,2001:db8::53",
			"routes=10.0.0.0/8,2001:db8::/32", "session_timeout=8h", "idle_timeout=30m", "max_sessions=2", "rate_up=500k", "rate_down=50M"),
		user(t, "John Doe", "two"), user(t, "eve@example.org", "three", "disabled"),
	}
	var text bytes.Buffer
	lines, err := WriteFreeRADIUS(&text, append(users, user(t, `CORP\bob`, "x"), user(t, "DEFAULT", "x"), user(t, "carl", "x", "domains=example.org", "rate_up=5G")))
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, l := range lines {
		said = append(said, brief(l))
	}
	if d := cmp.Diff([]string{
		"0:0 alice taken over", "0:0 John Doe taken over", "0:0 eve@example.org taken over", `0:0 CORP\bob not taken over FreeRADIUS' users holds no such name`,
		"0:0 DEFAULT not taken over FreeRADIUS' users holds no such name", "0:0 carl taken over left out: domains=example.org",
	}, said); d != "" {
		t.Error(d)
	}
	if !strings.Contains(text.String(), "'bridgehead:rate-up=5000000k'") {
		t.Errorf("no rate above 32 bits in %s", text.String())
	}
	for file, content := range map[string]string{"users": text.String(), "smbpasswd": samba(t, users)} {
		path := filepath.Join(t.TempDir(), file)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path, "")
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range users {
			if file == "smbpasswd" {
				want = secrets.User{Name: want.Name, Hash: want.Hash, Disabled: want.Disabled}
			}
			if d := cmp.Diff(want, got.Users[i]); d != "" {
				t.Errorf("%s: %s\n%s", file, d, content)
			}
		}
	}
}

func samba(t *testing.T, users []secrets.User) string {
	t.Helper()
	var text bytes.Buffer
	lines, err := WriteSMBPasswd(&text, append(users, secrets.User{Name: "a:b", Hash: hashOf("x")}), SMBPasswdOptions{FirstUID: 1000, Now: time.Unix(0x4A1B2C3D, 0)})
	if err != nil || lines[len(lines)-1].Outcome != NotTakenOver {
		t.Fatal(lines, err)
	}
	if first, want := strings.Split(text.String(), "\n")[0], "alice:1000:"+noLM+":"+hexOf(sesame)+":[U          ]:LCT-4A1B2C3D:"; first != want {
		t.Errorf("got %q, want %q", first, want)
	}
	return text.String()
}

func TestLDIF(t *testing.T) {
	users := []secrets.User{user(t, `Müller, "J"`, sesame, "disabled")}
	for _, test := range []struct {
		o    LDIFOptions
		want string
	}{
		{LDIFOptions{Entries: NewEntries, Hash: SambaHash}, `objectClass: inetOrgPerson
objectClass: sambaSamAccount
uid:: TcO8bGxlciwgIkoi
cn:: TcO8bGxlciwgIkoi
sn:: TcO8bGxlciwgIkoi
sambaSID: S-1-5-21-1-2-3-1000
sambaNTPassword: HASH
sambaPwdLastSet: 1
sambaAcctFlags: [UD         ]
`},
		{LDIFOptions{Entries: ExistingEntries, Hash: SambaHash}, "changetype: modify\nreplace: sambaNTPassword\nsambaNTPassword: HASH\n-\nreplace: sambaPwdLastSet\nsambaPwdLastSet: 1\n-\nreplace: sambaAcctFlags\nsambaAcctFlags: [UD         ]\n-\n"},
		{LDIFOptions{Entries: ExtendedEntries, Hash: IPAHash}, "changetype: modify\nadd: objectClass\nobjectClass: ipaNTUserAttrs\n-\nreplace: ipaNTSecurityIdentifier\nipaNTSecurityIdentifier: S-1-5-21-1-2-3-1000\n-\nreplace: ipaNTHash\nipaNTHash:: "},
	} {
		var text bytes.Buffer
		test.o.DN, test.o.SID, test.o.FirstRID, test.o.Now = "uid={user},ou=people", "S-1-5-21-1-2-3", 1000, time.Unix(1, 0)
		if _, err := WriteLDIF(&text, users, test.o); err != nil {
			t.Fatal(err)
		}
		dn, rest, _ := strings.Cut(text.String(), "\n")
		if dn != "dn:: dWlkPU3DvGxsZXJcLCBcIkpcIixvdT1wZW9wbGU=" { // uid=Müller\, \"J\",ou=people
			t.Errorf("%s", dn)
		}
		if want := strings.ReplaceAll(test.want, "HASH", hexOf(sesame)); !strings.HasPrefix(rest, want) {
			t.Errorf("%+v: got\n%s\nwant\n%s", test.o, rest, want)
		}
	}
}

// FuzzRead: no text has a parser panic, name a place outside of the text, or
// give a user whom a users file can't hold.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"a:1:x:" + noLM + ":[U]:\n", "alice Cleartext-Password := \"x\", A == b\n\tFramed-Route = '1.2.3.4/8'\n$INCLUDE x\n", "name;password\na;\"b\n\"c\";d\n", "name\tnt_hash\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		number := bytes.Count(text, []byte("\n")) + 1
		for _, parse := range []func(*reader, []byte){parseSMBPasswd, parseFreeRADIUS, parseCSV} {
			r := &reader{file: "x", places: make(map[string]int)}
			parse(r, bytes.Clone(text))
			for _, l := range r.Lines {
				if l.Line > number || l.Line > 0 && l.Column < 1 || l.Outcome != TakenOver && l.Note == "" {
					t.Fatalf("%+v", l)
				}
			}
			if _, err := secrets.AppendUsers(nil, r.Users); err != nil {
				t.Fatal(err)
			}
			if r.Count(TakenOver) != len(r.Users) {
				t.Fatalf("%d users, lines %+v", len(r.Users), r.Lines)
			}
		}
	})
}
