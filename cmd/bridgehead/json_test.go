package main

import (
	"encoding"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"bridgehead/cmd/bridgehead/internal/admin"
	"bridgehead/cmd/bridgehead/internal/gateway"
	"bridgehead/cmd/bridgehead/internal/provision"
	"bridgehead/ikev2/initiator"
)

// printed is what each verb with --json prints.
var printed = []struct {
	verb string
	note string
	as   any
}{
	{"bridgehead auth test", "", gateway.LoginReport{}},
	{"bridgehead bench", "", initiator.LoadReport{}},
	{"bridgehead check", "", checked{}},
	{"bridgehead events", "One object a line, without indentation.", admin.Event{}},
	{"bridgehead import", "", imported{}},
	{"bridgehead probe", "", initiator.ProbeReport{}},
	{"bridgehead profile", "", provision.Profile{}},
	{"bridgehead sessions", "", sessionList{}},
	{"bridgehead status", "", admin.Status{}},
	{"bridgehead users compare", "", compared{}},
	{"bridgehead users convert", "", converted{}},
	{"bridgehead users list", "", userList{}},
	{"bridgehead version", "", buildInfo{}},
	{"bridgehead why", "", refusalList{}},
}

const jsonIntroduction = `# What the verbs print with ` + "`--json`" + `

Scripts may rely on this page: names, types and meanings stay as they are.
Fields are added over time, so a reader passes over those it does not know.
Optional fields are left out where there is nothing to say; the others are
always there, lists too when they are empty. Times are RFC 3339 in UTC or with
their offset. Exit codes say the same as without ` + "`--json`" + `.

The page is made from the types' comments: ` + "`go test ./cmd/bridgehead -run JSON -update`" + `.
`

// TestJSONIsDocumented pins names, types and meanings of all that is printed
// with --json to JSON.md, which is made of the comments beside the types.
func TestJSONIsDocumented(t *testing.T) {
	var (
		page     strings.Builder
		comments = packageComments{}
		verbs    []string
	)
	page.WriteString(jsonIntroduction)
	for _, p := range printed {
		verbs = append(verbs, p.verb)
		typ := reflect.TypeOf(p.as)
		fmt.Fprintf(&page, "\n## %s --json\n\n", p.verb)
		if p.note != "" {
			fmt.Fprintf(&page, "%s\n\n", p.note)
		}
		page.WriteString("| field | type | meaning |\n|---|---|---|\n")
		for _, f := range comments.fields(t, "", typ) {
			fmt.Fprintf(&page, "| `%s` | %s | %s |\n", f.path, f.kind, f.meaning)
			if f.meaning == "" {
				t.Errorf("%s: nothing is said about %s; write a comment beside the field", p.verb, f.path)
			}
		}
	}
	const file = "JSON.md"
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Errorf("%s: -want +got:\n%s", file, diff)
	}

	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Flags().Lookup("json") != nil && !slices.Contains(verbs, c.CommandPath()) {
			t.Errorf("%s has --json; add what it prints to the list above", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}

// Lists are there, too, where a measurement showed nothing.
func TestEmptyListsArePrinted(t *testing.T) {
	got := bridgehead(t, "x\n", "probe", "bridgehead.invalid:x", "--user", "alice", "--json")
	if !strings.Contains(got.out, `"steps": [],`) || strings.Contains(got.out, "null") {
		t.Errorf("%s", got)
	}
}

// jsonField is one line of the page.
type jsonField struct{ path, kind, meaning string }

// packageComments are the comments of packages, by import path and then by
// "Type.Field"; "Type" alone has the values of a type with named ones.
type packageComments map[string]map[string]string

// fields lists the fields of a struct and, below each, those of its elements.
func (c packageComments) fields(t *testing.T, prefix string, typ reflect.Type) []jsonField {
	t.Helper()
	var list []jsonField
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || f.Anonymous || !f.IsExported() {
			continue
		}
		owner := typ
		if len(f.Index) > 1 {
			owner = typ.FieldByIndex(f.Index[:len(f.Index)-1]).Type
		}
		if name == "" {
			t.Errorf("%s.%s is printed under its Go name", owner, f.Name)
		}
		path, inner := prefix+name, f.Type
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			if inner.Kind() == reflect.Slice {
				path += "[]"
			}
			inner = inner.Elem()
		}
		kind, nested := c.kindOf(t, inner)
		if strings.HasPrefix(options, "omit") {
			kind = "optional " + kind
		}
		list = append(list, jsonField{path, kind, c.of(t, owner)[owner.Name()+"."+f.Name]})
		if nested {
			list = append(list, c.fields(t, path+".", inner)...)
		}
	}
	return list
}

// kindOf names the JSON type; nested tells that it is an object of fields.
func (c packageComments) kindOf(t *testing.T, typ reflect.Type) (kind string, nested bool) {
	t.Helper()
	switch {
	case typ == reflect.TypeFor[time.Time]():
		return "time", false
	case typ == reflect.TypeFor[time.Duration]():
		return "integer", false
	case typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return "string", false
	}
	switch typ.Kind() {
	case reflect.Struct:
		return "object", true
	case reflect.Map:
		value, _ := c.kindOf(t, typ.Elem())
		return "object of " + value, false
	case reflect.Bool:
		return "boolean", false
	case reflect.Float64:
		return "number", false
	case reflect.Int, reflect.Uint64:
		return "integer", false
	case reflect.String:
		if typ.PkgPath() == "" {
			return "string", false
		}
		return "string: " + c.of(t, typ)[typ.Name()], false
	}
	t.Fatalf("%s has no form in JSON here", typ)
	return "", false
}

// of reads the comments of the package that a type is of.
func (c packageComments) of(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	if known, ok := c[typ.PkgPath()]; ok {
		return known
	}
	found := map[string]string{}
	c[typ.PkgPath()] = found
	folder := "."
	if path, ok := strings.CutPrefix(typ.PkgPath(), "bridgehead/"); ok {
		folder = filepath.Join("..", "..", filepath.FromSlash(path))
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files in %s: %v", typ, folder, err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				collect(found, g)
			}
		}
	}
	return found
}

// collect takes the comments of fields and the values of named types.
func collect(found map[string]string, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if typ, ok := s.Type.(*ast.StructType); ok {
				for _, f := range typ.Fields.List {
					text := strings.TrimSpace(f.Doc.Text() + f.Comment.Text())
					for _, name := range f.Names {
						found[s.Name.Name+"."+name.Name] = strings.ReplaceAll(strings.ReplaceAll(text, "\n", " "), "|", `\|`)
					}
				}
			}
		case *ast.ValueSpec:
			typ, ok := s.Type.(*ast.Ident)
			if !ok || g.Tok != token.CONST || len(s.Values) != 1 {
				continue
			}
			if value, ok := s.Values[0].(*ast.BasicLit); ok {
				found[typ.Name] = strings.TrimPrefix(found[typ.Name]+", ", ", ") + strings.Trim(value.Value, `"`)
			}
		}
	}
}
