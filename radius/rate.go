package radius

import (
	"fmt"
	"strconv"
	"strings"
)

// bound lowers a rate in bits a second; 0 is no limit. Of several limits the
// lowest counts.
func bound(rate *uint64, n uint64) {
	if n > 0 && (*rate == 0 || n < *rate) {
		*rate = n
	}
}

func rateUp(f *filling) *uint64   { return &f.RateUp }
func rateDown(f *filling) *uint64 { return &f.RateDown }

// wisprRate reads bits a second.
func wisprRate(rate func(*filling) *uint64) func(*filling, []byte) error {
	return func(f *filling, b []byte) error {
		n, err := number(b)
		bound(rate(f), uint64(n))
		return err
	}
}

// mikrotikRate reads "rx[/tx] ..." as the router sees it: it receives what the
// client sends. One rate is for both ways. What follows, bursts and priority,
// only lets through more.
func mikrotikRate(f *filling, b []byte) error {
	word, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	up, down, two := strings.Cut(word, "/")
	if !two {
		down = up
	}
	u, err := parseRate(up)
	if err != nil {
		return err
	}
	d, err := parseRate(down)
	bound(&f.RateUp, u)
	bound(&f.RateDown, d)
	return err
}

// parseRate reads bits a second: a number, in thousands with k, millions with M
// or thousands of millions with G behind it.
func parseRate(text string) (uint64, error) {
	digits, unit := text, uint64(1)
	if n := len(text) - 1; n > 0 {
		switch text[n] {
		case 'k', 'K':
			digits, unit = text[:n], 1e3
		case 'M', 'm':
			digits, unit = text[:n], 1e6
		case 'G', 'g':
			digits, unit = text[:n], 1e9
		}
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.60q is no rate, expected bits a second such as 500k, 10M or 1G", text)
	}
	return n * unit, nil
}
