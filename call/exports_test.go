package call

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// A panic that reaches C ends the process. The package with the C functions cannot be linked without Python, so this reads it.
func TestEveryCFunctionRecoversBeforeAllElse(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../export.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	exports := 0
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Doc == nil || !strings.HasPrefix(function.Doc.List[len(function.Doc.List)-1].Text, "//export ") {
			continue
		}
		exports++
		if function.Name.Name != "ots_version" && !recoversFirst(function) { // that gives a constant
			t.Errorf("%s does not begin with defer recovered(…)", function.Name.Name)
		}
	}
	if exports < 15 {
		t.Errorf("only %d C functions found", exports)
	}
}

func recoversFirst(function *ast.FuncDecl) bool {
	first, ok := function.Body.List[0].(*ast.DeferStmt)
	if !ok {
		return false
	}
	called, ok := first.Call.Fun.(*ast.Ident)
	return ok && called.Name == "recovered"
}
