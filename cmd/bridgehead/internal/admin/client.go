package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
)

// Client is the operator's end of the socket.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient speaks to the gateway behind a socket; nothing is dialled yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks how the gateway is.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Sessions lists who is logged in.
func (c *Client) Sessions(ctx context.Context) (list []Session, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/sessions", nil, &list)
	return list, err
}

// Disconnect ends sessions.
func (c *Client) Disconnect(ctx context.Context, which Selector) (n Disconnected, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/disconnect", which, &n)
	return n, err
}

// Reload has the gateway read its files again.
func (c *Client) Reload(ctx context.Context) (r Reloaded, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/reload", nil, &r)
	return r, err
}

// Why gives recent refusals about a user, session or peer; "" gives all.
func (c *Client) Why(ctx context.Context, about string) (list []Refusal, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/why?about="+url.QueryEscape(about), nil, &list)
	return list, err
}

// Metrics writes the metrics in Prometheus' text form.
func (c *Client) Metrics(ctx context.Context, w io.Writer) error {
	body, err := c.open(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return c.explain(err)
}

// Events gives the recent events to each and, if follow is set, those to come
// until ctx ends, each refuses, or the gateway ends.
func (c *Client) Events(ctx context.Context, follow bool, each func(Event) error) error {
	path := "/v1/events"
	if follow {
		path += "?follow=1"
	}
	body, err := c.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for d := json.NewDecoder(body); ; {
		var e Event
		switch err := d.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.explain(err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

// call makes one request and decodes its answer.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return c.explain(fmt.Errorf("answer of %s: %w", path, err))
	}
	return nil
}

// open makes one request and gives the body of a good answer.
func (c *Client) open(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("request of %s: %w", path, err)
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, body)
	if err != nil {
		return nil, fmt.Errorf("request of %s: %w", path, err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxRequest)).Decode(&f); err != nil {
		f.Error = answer.Status
	}
	switch answer.StatusCode {
	case http.StatusForbidden:
		return nil, &DeniedError{c.socket, errors.New(f.Error)}
	case http.StatusGatewayTimeout:
		return nil, &TimeoutError{c.socket, errors.New(f.Error)}
	}
	return nil, &RefusedError{f.Error}
}

// explain turns an error of the transport into one of this package's.
func (c *Client) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return &NotRunningError{c.socket, err}
	case errors.Is(err, fs.ErrPermission):
		return &DeniedError{c.socket, err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return &TimeoutError{c.socket, err}
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("control socket %s: %w", c.socket, err)
}
