package profiles

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Plist reads a property list: string, int, bool, []byte, []any and
// map[string]any.
func Plist(text string) (any, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = true
	root, err := nextElement(d)
	if err != nil {
		return nil, err
	}
	if root == nil || root.Name.Local != "plist" {
		return nil, errors.New("no plist")
	}
	start, err := nextElement(d)
	if err != nil || start == nil {
		return nil, fmt.Errorf("an empty plist: %w", err)
	}
	value, err := plistValue(d, start)
	if err != nil {
		return nil, err
	}
	if more, err := nextElement(d); more != nil || err != nil {
		return nil, fmt.Errorf("more than one value: %v, %w", more, err)
	}
	_, err = d.Token()
	for err == nil {
		_, err = d.Token()
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return value, nil
}

// nextElement passes over space; nil is the end of the element around.
func nextElement(d *xml.Decoder) (*xml.StartElement, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, fmt.Errorf("text %q between elements", t)
			}
		}
	}
}

func plistValue(d *xml.Decoder, start *xml.StartElement) (any, error) {
	switch start.Name.Local {
	case "dict":
		return plistDict(d)
	case "array":
		list := []any{}
		for {
			e, err := nextElement(d)
			if e == nil || err != nil {
				return list, err
			}
			v, err := plistValue(d, e)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	}
	var text string
	if err := d.DecodeElement(&text, start); err != nil {
		return nil, err
	}
	switch start.Name.Local {
	case "string", "key":
		return text, nil
	case "integer":
		return strconv.Atoi(text)
	case "data":
		return base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	case "true", "false":
		return start.Name.Local == "true", nil
	}
	return nil, fmt.Errorf("element %q", start.Name.Local)
}

func plistDict(d *xml.Decoder) (any, error) {
	dict := map[string]any{}
	for {
		e, err := nextElement(d)
		if e == nil || err != nil {
			return dict, err
		}
		if e.Name.Local != "key" {
			return nil, fmt.Errorf("%q where a key was expected", e.Name.Local)
		}
		key, err := plistValue(d, e)
		if err != nil {
			return nil, err
		}
		if e, err = nextElement(d); e == nil || err != nil {
			return nil, fmt.Errorf("no value for %q: %w", key, err)
		}
		name := key.(string)
		if _, twice := dict[name]; twice {
			return nil, fmt.Errorf("%q twice", name)
		}
		if dict[name], err = plistValue(d, e); err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
	}
}
