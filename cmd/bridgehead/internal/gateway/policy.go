package gateway

import (
	"context"
	"strings"

	"bridgehead/auth"
	"bridgehead/cmd/bridgehead/internal/config"
)

// policed is a backend whose users get what [groups.NAME] says of their group.
type policed struct {
	auth.Backend
	groups map[string]config.Group
}

// withGroups adds the policy of the groups that a configuration has, if any.
func withGroups(b auth.Backend, c *config.Config) auth.Backend {
	if len(c.Groups) == 0 {
		return b
	}
	p := &policed{b, map[string]config.Group{}}
	for _, g := range c.Groups {
		p.groups[g.Name] = g
	}
	return p
}

// Begin implements auth.Backend.
func (p *policed) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	c, err := p.Backend.Begin(ctx, peer)
	if err != nil {
		return nil, err
	}
	return &policedConversation{c, p}, nil
}

type policedConversation struct {
	auth.Conversation
	backend *policed
}

// Next implements auth.Conversation.
func (c *policedConversation) Next(ctx context.Context, response []byte) (auth.Step, error) {
	step, err := c.Conversation.Next(ctx, response)
	if err == nil && step.Verdict == auth.Accept && step.Grant != nil && step.Grant.Group != "" {
		c.backend.apply(step.Grant)
	}
	return step, err
}

// apply fills what the user has not of his own by his group, and tells what
// that was.
func (p *policed) apply(g *auth.Grant) {
	said := "not configured: nothing of it is applied"
	if group, ok := p.groups[g.Group]; ok {
		given := fill(g, group)
		said = "gives nothing that the user has not of his own"
		if len(given) > 0 {
			said = "gives " + strings.Join(given, ", ")
		}
	}
	g.Remarks = append(g.Remarks[:len(g.Remarks):len(g.Remarks)], auth.Evidence{Key: "policy of group " + g.Group, Value: said})
}

// fill gives a user what a group has, and lists what that was. A limit of
// sessions is one with what happens beyond it, and pools are one for both
// families.
func fill(g *auth.Grant, from config.Group) []string {
	var given []string
	note := func(name string, done bool) {
		if done {
			given = append(given, name)
		}
	}
	if g.Pool == "" && g.Pool6 == "" {
		note("pool", from.Pool != "")
		note("pool6", from.Pool6 != "")
		g.Pool, g.Pool6 = from.Pool, from.Pool6
	}
	note("dns", fillList(&g.DNS, from.DNS))
	note("routes", fillList(&g.Routes, from.Routes))
	note("domains", fillList(&g.Domains, from.Domains))
	note("session_timeout", fillValue(&g.SessionTimeout, from.SessionTimeout))
	note("idle_timeout", fillValue(&g.IdleTimeout, from.IdleTimeout))
	note("max_sessions", fillValue(&g.MaxSessions, from.MaxSessions))
	note("when_full", fillValue(&g.WhenFull, from.WhenFull))
	note("filter", fillList(&g.Filter, from.Filter))
	note("rate_up", fillValue(&g.RateUp, from.RateUp))
	note("rate_down", fillValue(&g.RateDown, from.RateDown))
	return given
}

// fillList sets what is empty, and tells whether it did.
func fillList[T any](to *[]T, from []T) bool {
	if len(*to) > 0 || len(from) == 0 {
		return false
	}
	*to = from
	return true
}

// fillValue is fillList for one value.
func fillValue[T comparable](to *T, from T) bool {
	var none T
	if *to != none || from == none {
		return false
	}
	*to = from
	return true
}
