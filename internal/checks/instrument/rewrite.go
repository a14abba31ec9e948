package instrument

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/ast/astutil"
)

// rewriter rewrites one file.
type rewriter struct {
	fset *token.FileSet
	info *types.Info
	pkg  *types.Package
	// shared names the fields whose use is a step.
	shared []string
	// plan says what is to become of a node. It is made before anything changes,
	// because what has changed has no types.
	plan     map[ast.Node]func(c *astutil.Cursor)
	called   map[ast.Node]bool // what stands before the parentheses of a call
	used     bool
	problems []string
}

func (w *rewriter) rewrite(f *ast.File) error {
	w.plan, w.called = map[ast.Node]func(c *astutil.Cursor){}, map[ast.Node]bool{}
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
		if mayBeChan(w.info.TypeOf(n.X)) {
			w.refuse(n, "range over a channel")
		}
	case *ast.CallExpr:
		w.called[callee(n)] = true // before its parts are looked at
		w.lookCall(n)
	case *ast.SelectorExpr:
		w.lookValue(n)
		w.lookField(n)
	}
	return true
}

// callee is the function that a call names, without parentheses and type arguments.
func callee(n *ast.CallExpr) ast.Expr {
	switch fun := ast.Unparen(n.Fun).(type) {
	case *ast.IndexExpr:
		return ast.Unparen(fun.X)
	case *ast.IndexListExpr:
		return ast.Unparen(fun.X)
	default:
		return fun
	}
}

// lookValue refuses a function or method that is kept as a value: it might be called
// where nobody sees what it is.
func (w *rewriter) lookValue(n *ast.SelectorExpr) {
	f, ok := w.info.Uses[n.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || w.called[n] {
		return
	}
	switch f.Pkg().Path() {
	case "sync", "sync/atomic", "time", "context", "reflect", "runtime", "iter":
		w.refuse(n, types.ExprString(n)+" as a value")
	}
}

// lookField plans the step before a shared field is used.
func (w *rewriter) lookField(n *ast.SelectorExpr) {
	sel := w.info.Selections[n]
	if sel == nil || sel.Kind() != types.FieldVal || !slices.Contains(w.shared, n.Sel.Name) {
		return
	}
	label := w.label(n, types.ExprString(n))
	addr := w.address(n.X)
	w.plan[n] = func(*astutil.Cursor) { n.X = w.call("Point", addr(n.X), label) }
}

// mayBeChan tells whether a value of type t can be a channel. That of a type parameter
// can if one of the types of its constraint is.
func mayBeChan(t types.Type) bool {
	if t == nil {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return true
	case *types.Interface:
		for embedded := range u.EmbeddedTypes() {
			if mayBeChan(embedded) {
				return true
			}
		}
	case *types.Union:
		for term := range u.Terms() {
			if mayBeChan(term.Type()) {
				return true
			}
		}
	}
	return false
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
	switch fun := callee(n).(type) {
	case *ast.Ident:
		w.lookBuiltin(n, fun)
	case *ast.SelectorExpr:
		f, ok := w.info.Uses[fun.Sel].(*types.Func)
		if !ok || f.Pkg() == nil {
			return
		}
		switch sel := w.info.Selections[fun]; {
		case sel == nil:
			w.lookFunc(n, f)
		case sel.Kind() == types.MethodVal:
			w.lookMethod(n, fun, sel)
		default: // a method expression
			w.called[fun] = false
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
		if mayBeChan(w.info.TypeOf(n.Args[0])) {
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
	case "context.Background", "context.TODO", "context.WithValue", "context.WithoutCancel":
	case "time.AfterFunc", "time.Tick", "time.Sleep":
		w.refuse(n, name)
	default:
		switch f.Pkg().Path() {
		case "sync", "sync/atomic", "context", "iter":
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
	case path == "reflect" && recv == "Value":
		switch f.Name() {
		case "Send", "Recv", "TrySend", "TryRecv", "Close", "Seq", "Seq2", "Call", "CallSlice", "Method", "MethodByName":
			w.refuse(n, "reflect.Value."+f.Name())
		}
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
