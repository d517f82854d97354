package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"bridgehead/auth"
)

// readPassword asks for a password at the terminal, twice where it is a new
// one, or takes the first line of standard input. It is never an argument:
// those stand in every process list.
func (a *app) readPassword(ctx context.Context, prompt string, twice bool) (auth.Secret, error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return readLine(a.in)
	}
	first, err := a.askTerminal(ctx, f, prompt+": ")
	if err != nil || !twice {
		return first, err
	}
	second, err := a.askTerminal(ctx, f, "Once more: ")
	if err != nil {
		return nil, err
	}
	defer second.Wipe()
	if subtle.ConstantTimeCompare(first, second) != 1 {
		return nil, errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

// askTerminal reads a line without echo. When ctx ends the terminal is put
// back as it was; the reading goroutine ends with the process.
func (a *app) askTerminal(ctx context.Context, f *os.File, prompt string) (auth.Secret, error) {
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	fmt.Fprint(a.err, prompt)
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(int(f.Fd()))
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		fmt.Fprintln(a.err)
		return l.text, l.err
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return nil, errors.Join(ctx.Err(), term.Restore(int(f.Fd()), before))
	}
}

// readLine takes the first line of what is not a terminal.
func readLine(r io.Reader) (auth.Secret, error) {
	const most = 4 * auth.MaxPassword // octets; UTF-8 has at most four each
	line, err := bufio.NewReader(io.LimitReader(r, most+2)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, errors.New("no password on standard input; type it at a terminal or pipe one line")
	}
	return line, nil
}

// newPassword gets a new password for a user and prints advice about it.
func (a *app) newPassword(ctx context.Context, user string) (auth.NTHash, error) {
	password, err := a.readPassword(ctx, "Password of "+visible(user), true)
	if err != nil {
		return auth.NTHash{}, err
	}
	defer password.Wipe()
	advice, err := auth.CheckPassword(user, password)
	if err != nil {
		return auth.NTHash{}, err
	}
	for _, line := range advice {
		fmt.Fprintln(a.err, "advice:", line)
	}
	return auth.HashPassword(password), nil
}
