package main

import (
	"fmt"
	"sync"
	"time"
)

// progress shows a line at the terminal for what takes longer than a second,
// once a second, until stop is called.
func (a *app) progress(line func() string) (stop func()) {
	if !isTerminal(a.err) {
		return func() {}
	}
	var showing sync.WaitGroup
	ended := make(chan struct{})
	showing.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				fmt.Fprint(a.err, "\r\x1b[K") // clears the line
				return
			case <-ticker.C:
				fmt.Fprintf(a.err, "\r\x1b[K%s", visible(line()))
			}
		}
	})
	return func() { close(ended); showing.Wait() }
}
