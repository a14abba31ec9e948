package instrument

import (
	"go/ast"
	"go/token"
	"strconv"

	"golang.org/x/tools/go/ast/astutil"
)

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
