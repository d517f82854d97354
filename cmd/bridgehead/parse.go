package main

import (
	"fmt"
	"net/netip"
)

// parseAll parses each word of a list.
func parseAll[T any](words []string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	for _, w := range words {
		t, err := parse(w)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", w, err)
		}
		list = append(list, t)
	}
	return list, nil
}

func parseAddress(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err
}
