package ldap

import (
	"strings"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// mostGroups bounds how many groups of one user are looked at.
const mostGroups = 500

// groupsOf gives the DNs of the groups that a user is in, of groups in groups as
// deep as configured.
func (d *Directory) groupsOf(c *conn, e *client.Entry, name string) ([]string, error) {
	parents := e.GetEqualFoldAttributeValues(attrMemberOf)
	if d.config.Groups.Base != "" {
		var err error
		if parents, err = d.searchGroups(c, e.DN, name); err != nil {
			return nil, err
		}
	}
	var all []string
	seen := map[string]bool{}
	for depth := 0; len(parents) > 0; depth++ {
		var level []string
		for _, dn := range parents {
			if key := strings.ToLower(dn); !seen[key] && len(all) < mostGroups {
				seen[key] = true
				all, level = append(all, dn), append(level, dn)
			}
		}
		if parents = nil; depth == d.config.Groups.Depth {
			break
		}
		for _, dn := range level {
			above, err := d.groupsAbove(c, dn)
			if err != nil {
				return nil, err
			}
			parents = append(parents, above...)
		}
	}
	return all, nil
}

// groupsAbove gives the groups that a group is in.
func (d *Directory) groupsAbove(c *conn, dn string) ([]string, error) {
	if d.config.Groups.Base != "" {
		return d.searchGroups(c, dn, "")
	}
	result, err := c.Search(client.NewSearchRequest(dn, client.ScopeBaseObject, client.NeverDerefAliases, 1, 0, false, "(objectClass=*)", []string{attrMemberOf}, nil))
	if client.IsErrorAnyOf(err, client.LDAPResultNoSuchObject, client.LDAPResultReferral) {
		return nil, nil // a group that is gone, or elsewhere
	}
	if err != nil || len(result.Entries) == 0 {
		return nil, err
	}
	return result.Entries[0].GetEqualFoldAttributeValues(attrMemberOf), nil
}

// searchGroups gives the groups whose member is an entry or, by the template, a
// name.
func (d *Directory) searchGroups(c *conn, dn, name string) ([]string, error) {
	places := placesOf(name)
	places["dn"] = dn
	filter, ok, err := fill(d.config.Groups.Filter, places, client.EscapeFilter)
	if err != nil || !ok {
		return nil, err
	}
	result, err := c.Search(client.NewSearchRequest(d.config.Groups.Base, client.ScopeWholeSubtree, client.NeverDerefAliases, mostGroups, 0, false, filter, []string{"1.1"}, nil))
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range result.Entries {
		list = append(list, e.DN)
	}
	return list, nil
}

// judge gives a user the policy of the first group that counts, unless one is
// the user's own, and tells whether a group that is required is missing.
func (g Groups) judge(in []string, grant *auth.Grant) *auth.Refusal {
	is := func(group string) bool {
		for _, dn := range in {
			if sameGroup(group, dn) {
				return true
			}
		}
		return false
	}
	for _, m := range g.Map {
		if grant.Group == "" && is(m.Group) {
			grant.Group = m.Policy
		}
	}
	if len(g.Require) == 0 {
		return nil
	}
	for _, group := range g.Require {
		if is(group) {
			return nil
		}
	}
	return barred(auth.ErrorNoDialinPermission, auth.CauseLDAPNotInGroup, "groups", strings.Join(in, "; "))
}

// sameGroup tells whether a DN is a group's, which is named by its own DN or by
// the value of its first RDN.
func sameGroup(group, dn string) bool {
	parsed, err := client.ParseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 {
		return false
	}
	if !strings.Contains(group, "=") {
		return strings.EqualFold(parsed.RDNs[0].Attributes[0].Value, group)
	}
	wanted, err := client.ParseDN(group)
	return err == nil && parsed.EqualFold(wanted)
}
