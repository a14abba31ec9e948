package instrument

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"

	"golang.org/x/tools/go/ast/astutil"
)

// rewriter rewrites one file.
type rewriter struct {
	fset *token.FileSet
	info *types.Info
	pkg  *types.Package
	// plan says what is to become of a node. It is made before anything changes,
	// because what has changed has no types.
	plan     map[ast.Node]func(c *astutil.Cursor)
	used     bool
	problems []string
}

func (w *rewriter) rewrite(f *ast.File) error {
	w.plan = map[ast.Node]func(c *astutil.Cursor){}
	ast.Inspect(f, w.look)
	if len(w.problems) > 0 {
		return fmt.Errorf("%s: %s", w.fset.Position(f.Pos()).Filename, w.problems[0])
	}
	astutil.Apply(f, nil, func(c *astutil.Cursor) bool {
		if change, planned := w.plan[c.Node()]; planned {
			change(c)
		}
		return true
	})
	if w.used {
		astutil.AddImport(w.fset, f, schedPath)
	}
	for _, path := range []string{"reflect", "runtime", "sync", "context"} {
		if !astutil.UsesImport(f, path) {
			astutil.DeleteImport(w.fset, f, path)
		}
	}
	return nil
}

func (w *rewriter) refuse(n ast.Node, why string) {
	w.problems = append(w.problems, fmt.Sprintf("line %d: %s: teach the instrumenter about it", w.fset.Position(n.Pos()).Line, why))
}

// look plans what is to become of n.
func (w *rewriter) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SelectStmt:
		w.lookSelect(n)
	case *ast.SendStmt:
		if !w.planned(n) {
			label := w.label(n, "send "+types.ExprString(n.Chan))
			w.plan[n] = func(c *astutil.Cursor) {
				c.Replace(&ast.ExprStmt{X: w.call("Send", n.Chan, n.Value, label)})
			}
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && !w.planned(n) {
			label := w.label(n, "receive "+types.ExprString(n.X))
			w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("Recv", n.X, label)) }
		}
	case *ast.AssignStmt:
		if len(n.Lhs) == 2 && len(n.Rhs) == 1 && !w.planned(n) {
			if recv, ok := n.Rhs[0].(*ast.UnaryExpr); ok && recv.Op == token.ARROW {
				label := w.label(n, "receive "+types.ExprString(recv.X))
				w.plan[recv] = func(c *astutil.Cursor) { c.Replace(w.call("Recv2", recv.X, label)) }
			}
		}
	case *ast.GoStmt:
		w.lookGo(n)
	case *ast.RangeStmt:
		if _, ok := w.under(n.X).(*types.Chan); ok {
			w.refuse(n, "range over a channel")
		}
	case *ast.CallExpr:
		w.lookCall(n)
	}
	return true
}

func (w *rewriter) planned(n ast.Node) bool {
	_, ok := w.plan[n]
	return ok
}

// keep plans that n stays as it is.
func (w *rewriter) keep(n ast.Node) { w.plan[n] = func(*astutil.Cursor) {} }

func (w *rewriter) under(e ast.Expr) types.Type {
	t := w.info.TypeOf(e)
	if t == nil {
		return nil
	}
	return types.Unalias(t).Underlying()
}

func (w *rewriter) call(name string, args ...ast.Expr) *ast.CallExpr {
	w.used = true
	return &ast.CallExpr{Fun: &ast.SelectorExpr{X: ast.NewIdent("sched"), Sel: ast.NewIdent(name)}, Args: args}
}

func (w *rewriter) lookGo(n *ast.GoStmt) {
	_, literal := n.Call.Fun.(*ast.FuncLit)
	if len(n.Call.Args) > 0 {
		w.refuse(n, "a go statement with arguments")
		return
	}
	what := "go func"
	if !literal {
		what = "go " + types.ExprString(n.Call.Fun)
	}
	label := w.label(n, what)
	w.plan[n] = func(c *astutil.Cursor) {
		f := n.Call.Fun
		if !literal {
			f = &ast.FuncLit{
				Type: &ast.FuncType{Params: &ast.FieldList{}},
				Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ExprStmt{X: n.Call}}},
			}
		}
		c.Replace(&ast.ExprStmt{X: w.call("Go", f, label)})
	}
}

func (w *rewriter) lookCall(n *ast.CallExpr) {
	switch fun := ast.Unparen(n.Fun).(type) {
	case *ast.Ident:
		w.lookBuiltin(n, fun)
	case *ast.SelectorExpr:
		if sel := w.info.Selections[fun]; sel != nil {
			if sel.Kind() == types.MethodVal {
				w.lookMethod(n, fun, sel)
			}
			return
		}
		if f, ok := w.info.Uses[fun.Sel].(*types.Func); ok && f.Pkg() != nil {
			w.lookFunc(n, f)
		}
	case *ast.IndexExpr: // an instantiation
		if s, ok := fun.X.(*ast.SelectorExpr); ok {
			if f, ok := w.info.Uses[s.Sel].(*types.Func); ok && f.Pkg() != nil {
				w.lookFunc(n, f)
			}
		}
	}
}

func (w *rewriter) lookBuiltin(n *ast.CallExpr, fun *ast.Ident) {
	if _, ok := w.info.Uses[fun].(*types.Builtin); !ok {
		return
	}
	switch fun.Name {
	case "close":
		label := w.label(n, "close "+types.ExprString(n.Args[0]))
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("Close", n.Args[0], label)) }
	case "len":
		if _, ok := w.under(n.Args[0]).(*types.Chan); ok {
			label := w.label(n, "len "+types.ExprString(n.Args[0]))
			w.plan[n] = func(*astutil.Cursor) { n.Args[0] = w.call("Point", n.Args[0], label) }
		}
	}
}

// lookFunc plans what is to become of a call of a package's function.
func (w *rewriter) lookFunc(n *ast.CallExpr, f *types.Func) {
	name := f.Pkg().Path() + "." + f.Name()
	label := w.label(n, f.Pkg().Name()+"."+f.Name())
	switch name {
	case "runtime.Gosched":
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("Gosched", label)) }
	case "reflect.Select":
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("ReflectSelect", n.Args[0], label)) }
	case "context.AfterFunc":
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("AfterFunc", n.Args[0], n.Args[1], label)) }
	case "context.Cause":
		w.plan[n] = func(*astutil.Cursor) { n.Args[0] = w.call("Point", n.Args[0], label) }
	case "math/rand/v2.Uint32N":
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("Uint32N", n.Fun, n.Args[0])) }
	case "time.AfterFunc", "time.Tick", "time.Sleep",
		"context.WithCancel", "context.WithCancelCause", "context.WithTimeout", "context.WithDeadline":
		w.refuse(n, name)
	default:
		if p := f.Pkg().Path(); p == "sync" || p == "sync/atomic" {
			w.refuse(n, name)
		}
	}
}

// lookMethod plans what is to become of the call of a method.
func (w *rewriter) lookMethod(n *ast.CallExpr, fun *ast.SelectorExpr, sel *types.Selection) {
	f := sel.Obj().(*types.Func)
	if f.Pkg() == nil {
		return
	}
	path, recv := f.Pkg().Path(), receiver(f)
	what := types.ExprString(fun)
	label := w.label(n, what)
	if path == "sync" || path == "sync/atomic" {
		if len(sel.Index()) > 1 {
			w.refuse(n, what+" of an embedded field")
			return
		}
	}
	switch {
	case path == "context" && recv == "Context" && f.Name() == "Err":
		w.plan[n] = func(*astutil.Cursor) { fun.X = w.call("Point", fun.X, label) }
	case path == "sync/atomic":
		w.lookAtomic(n, fun, label)
	case path != "sync":
	case recv == "Mutex" && f.Name() == "Lock":
		addr := w.address(fun.X)
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("Lock", addr(fun.X), label)) }
	case recv == "Mutex" && f.Name() == "Unlock":
		addr := w.address(fun.X)
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("Unlock", addr(fun.X))) }
	case recv == "WaitGroup" && f.Name() == "Go":
		addr := w.address(fun.X)
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("WaitGroupGo", addr(fun.X), n.Args[0], label)) }
	case recv == "WaitGroup" && f.Name() == "Wait":
		addr := w.address(fun.X)
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.call("WaitGroupWait", addr(fun.X), label)) }
	default:
		w.refuse(n, "sync."+recv+"."+f.Name())
	}
}

// lookAtomic puts the yield of an atomic operation behind the evaluation of its
// operands, which may have operations of their own.
func (w *rewriter) lookAtomic(n *ast.CallExpr, fun *ast.SelectorExpr, label ast.Expr) {
	last := len(n.Args) - 1
	computed := false
	for _, arg := range n.Args {
		ast.Inspect(arg, func(a ast.Node) bool {
			_, call := a.(*ast.CallExpr)
			computed = computed || call
			return true
		})
	}
	if computed && w.info.Types[n.Args[last]].Value == nil {
		w.plan[n] = func(*astutil.Cursor) { n.Args[last] = w.call("Point", n.Args[last], label) }
		return
	}
	addr := w.address(fun.X)
	w.plan[n] = func(*astutil.Cursor) { fun.X = w.call("Point", addr(fun.X), label) }
}

// address tells how to get a pointer from an expression that has the type of e.
func (w *rewriter) address(e ast.Expr) func(ast.Expr) ast.Expr {
	if _, pointer := w.under(e).(*types.Pointer); pointer {
		return func(e ast.Expr) ast.Expr { return e }
	}
	return func(e ast.Expr) ast.Expr { return &ast.UnaryExpr{Op: token.AND, X: e} }
}

func receiver(f *types.Func) string {
	t := f.Signature().Recv().Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name()
	}
	return ""
}

// lookSelect plans what is to become of a select. One with a default and a single
// case beside it keeps its form, because what it does is certain. The others
// become a call that tries the cases, and a switch over its result.
func (w *rewriter) lookSelect(n *ast.SelectStmt) {
	cases, hasDefault := 0, false
	for _, s := range n.Body.List {
		clause := s.(*ast.CommClause)
		if clause.Comm == nil {
			hasDefault = true
			continue
		}
		cases++
		w.keepComm(clause.Comm)
	}
	label := w.label(n, "select")
	if hasDefault && cases == 1 {
		w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.single(n, label)) }
		return
	}
	w.plan[n] = func(c *astutil.Cursor) { c.Replace(w.several(n, label, hasDefault)) }
}

// keepComm keeps the operation of a case from being rewritten by itself.
func (w *rewriter) keepComm(comm ast.Stmt) {
	switch s := comm.(type) {
	case *ast.SendStmt:
		w.keep(s)
	case *ast.ExprStmt:
		w.keep(ast.Unparen(s.X))
	case *ast.AssignStmt:
		w.keep(s)
		w.keep(ast.Unparen(s.Rhs[0]))
	}
}

func (w *rewriter) single(n *ast.SelectStmt, label ast.Expr) ast.Stmt {
	for _, s := range n.Body.List {
		clause := s.(*ast.CommClause)
		if clause.Comm != nil {
			clause.Body = append([]ast.Stmt{&ast.ExprStmt{X: w.call("Stir")}}, clause.Body...)
		}
	}
	return &ast.BlockStmt{List: []ast.Stmt{&ast.ExprStmt{X: w.call("Touch", label)}, n}}
}

func (w *rewriter) several(n *ast.SelectStmt, label ast.Expr, hasDefault bool) ast.Stmt {
	block := &ast.BlockStmt{}
	body := &ast.BlockStmt{}
	args := []ast.Expr{label}
	var fallback []ast.Stmt
	for _, s := range n.Body.List {
		clause := s.(*ast.CommClause)
		if clause.Comm == nil {
			fallback = clause.Body
			continue
		}
		i := len(args) - 1
		name := ast.NewIdent("case" + strconv.Itoa(i))
		made, first := w.operation(clause.Comm, name)
		block.List = append(block.List, &ast.AssignStmt{Lhs: []ast.Expr{name}, Tok: token.DEFINE, Rhs: []ast.Expr{made}})
		args = append(args, name)
		stmts := clause.Body
		if first != nil {
			stmts = append([]ast.Stmt{first}, stmts...)
		}
		body.List = append(body.List, &ast.CaseClause{
			List: []ast.Expr{&ast.BasicLit{Kind: token.INT, Value: strconv.Itoa(i)}},
			Body: stmts,
		})
	}
	fn := "TrySelect"
	if !hasDefault {
		fn = "Select"
		// Never reached; a switch ends a function only with it.
		fallback = []ast.Stmt{&ast.ExprStmt{X: &ast.CallExpr{Fun: ast.NewIdent("panic"), Args: []ast.Expr{&ast.BasicLit{Kind: token.STRING, Value: `"no case"`}}}}}
	}
	body.List = append(body.List, &ast.CaseClause{Body: fallback})
	block.List = append(block.List, &ast.SwitchStmt{Tag: w.call(fn, args...), Body: body})
	return block
}

// operation makes the case of a communication, and the statement that takes what
// it has received.
func (w *rewriter) operation(comm ast.Stmt, name *ast.Ident) (made ast.Expr, first ast.Stmt) {
	switch s := comm.(type) {
	case *ast.SendStmt:
		return w.call("SendCase", s.Chan, s.Value), nil
	case *ast.ExprStmt:
		return w.call("RecvCase", ast.Unparen(s.X).(*ast.UnaryExpr).X), nil
	case *ast.AssignStmt:
		lhs := s.Lhs
		if len(lhs) == 1 {
			lhs = []ast.Expr{lhs[0], ast.NewIdent("_")}
		}
		got := &ast.CallExpr{Fun: &ast.SelectorExpr{X: ast.NewIdent(name.Name), Sel: ast.NewIdent("Got")}}
		return w.call("RecvCase", ast.Unparen(s.Rhs[0]).(*ast.UnaryExpr).X), &ast.AssignStmt{Lhs: lhs, Tok: s.Tok, Rhs: []ast.Expr{got}}
	}
	panic("unknown communication")
}
