// Package instrument rewrites the sources of a package so that every operation
// by which goroutines meet reports to the package sched: atomics, mutexes, wait
// groups, channels, select, contexts and go statements. What it does not know of these
// it refuses, also as a value that is called elsewhere, so a new kind of operation does
// not go unseen. It sees neither what other packages do nor what is called through
// an interface: a mutex that is kept as an interface of the package's own.
//
// The sources stay as they are: the result is an overlay for go build.
package instrument

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// schedPath is the package that instrumented code reports to.
const schedPath = "github.com/gobroadcast/broadcast/internal/checks/sched"

// Package says what is to be instrumented.
type Package struct {
	Dir string
	// Replace has other texts for some of the sources, by the files' names.
	Replace map[string]string
	// Leave names files that stay as they are: nobody waits in them, and what they
	// share with others is not the package's.
	Leave []string
	// Shared names fields of plain memory that is written again while others may look
	// at it: each use is a step of its own, so that orders are tried in which it comes
	// late.
	Shared []string
	// Consts gives constants other values, to make the space of schedules smaller.
	Consts map[string]string
}

// Overlay writes the instrumented sources into dir and returns the path of the
// overlay to build with.
func (p Package) Overlay(dir string) (string, error) {
	list, err := p.list(dir)
	if err != nil {
		return "", err
	}
	fset := token.NewFileSet()
	info := &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
		Uses:       map[*ast.Ident]types.Object{},
	}
	files, pkg, err := list.check(fset, importer.ForCompiler(fset, "gc", list.export), p.Replace, info)
	if err != nil {
		return "", err
	}
	overlay := map[string]string{}
	write := func(name string, text []byte) error {
		path := filepath.Join(dir, name)
		overlay[filepath.Join(list.Dir, name)] = path
		return os.WriteFile(path, text, 0o600)
	}
	left := map[string]string{}
	for name, value := range p.Consts {
		left[name] = value
	}
	for i, f := range files {
		name := list.GoFiles[i]
		if slices.Contains(p.Leave, name) {
			if text, replaced := p.Replace[name]; replaced {
				if err := write(name, []byte(text)); err != nil {
					return "", err
				}
			}
			continue
		}
		setConsts(f, left)
		w := &rewriter{fset: fset, info: info, pkg: pkg, shared: p.Shared}
		f.Comments = nil
		text, err := w.file(f)
		if err != nil {
			return "", err
		}
		if err := write(name, text); err != nil {
			return "", err
		}
	}
	for name := range left {
		return "", fmt.Errorf("there is no constant %s", name)
	}
	flag := fmt.Sprintf("package %s\n\nimport %q\n\nfunc init() { sched.Instrumented = true }\n", pkg.Name(), schedPath)
	if err := write("instrumented_gen.go", []byte(flag)); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// listed is what go list says of the package.
type listed struct {
	Dir, ImportPath string
	GoFiles         []string
	exports         map[string]string
}

func (p Package) list(scratch string) (*listed, error) {
	var out, problems bytes.Buffer
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=Dir,ImportPath,GoFiles,Export", ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, &out, &problems
	cmd.Env = append(os.Environ(), "GOTMPDIR="+scratch)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go list in %s: %w\n%s", p.Dir, err, problems.String())
	}
	res := &listed{exports: map[string]string{}}
	for dec := json.NewDecoder(&out); ; {
		var one struct {
			listed
			Export string
		}
		err := dec.Decode(&one)
		if errors.Is(err, io.EOF) {
			return res, nil // the last one is the package itself
		}
		if err != nil {
			return nil, err
		}
		res.exports[one.ImportPath] = one.Export
		res.Dir, res.ImportPath, res.GoFiles = one.Dir, one.ImportPath, one.GoFiles
	}
}

// check parses the sources, some of them with other texts, and finds their types.
func (l *listed) check(fset *token.FileSet, from types.Importer, replace map[string]string, info *types.Info) ([]*ast.File, *types.Package, error) {
	var files []*ast.File
	for _, name := range l.GoFiles {
		var src any
		if text, replaced := replace[name]; replaced {
			src = text
		}
		f, err := parser.ParseFile(fset, filepath.Join(l.Dir, name), src, 0)
		if err != nil {
			return nil, nil, fmt.Errorf("the sources do not compile: %w", err)
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: from}
	pkg, err := conf.Check(l.ImportPath, fset, files, info)
	if err != nil {
		return nil, nil, fmt.Errorf("the sources do not compile: %w", err)
	}
	return files, pkg, nil
}

// Checker returns a function that tells whether the sources of the package in dir
// compile with other texts for some of them. scratch is a folder for the time being.
func Checker(dir, scratch string) (func(replace map[string]string) error, error) {
	list, err := Package{Dir: dir}.list(scratch)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", list.export)
	return func(replace map[string]string) error {
		_, _, err := list.check(fset, from, replace, nil)
		return err
	}, nil
}

func (l *listed) export(path string) (io.ReadCloser, error) { return os.Open(l.exports[path]) }

// setConsts gives those constants of f that values names these values, and takes
// them off values.
func setConsts(f *ast.File, values map[string]string) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for i, name := range v.Names {
				if value, set := values[name.Name]; set {
					v.Values[i] = &ast.BasicLit{Kind: token.INT, Value: value}
					delete(values, name.Name)
				}
			}
		}
	}
}

// label is the place of n, as schedules are told.
func (w *rewriter) label(n ast.Node, what string) ast.Expr {
	pos := w.fset.Position(n.Pos())
	what = strings.Join(strings.Fields(what), " ")
	return &ast.BasicLit{Kind: token.STRING, Value: fmt.Sprintf("%q", fmt.Sprintf("%s:%d %s", filepath.Base(pos.Filename), pos.Line, what))}
}

func (w *rewriter) file(f *ast.File) ([]byte, error) {
	if err := w.rewrite(f); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := format.Node(&b, w.fset, f); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
