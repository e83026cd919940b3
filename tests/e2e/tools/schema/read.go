package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// object is a Go struct in the form of its JSON: fields of embedded structs are its own.
type object struct {
	name   string
	rust   string
	base   *object
	fields []field
}

type field struct {
	json     string
	kind     string
	of       *object
	presence string
	required bool
	values   []string
	// The default of the CRD.
	defaultValue string
	// The CRD has no schema for the content.
	schemaless bool
}

// declaration is a type with its file, which resolves the names of packages.
type declaration struct {
	spec    *ast.TypeSpec
	markers markers
	file    *ast.File
	pkg     *pkg
}

type pkg struct {
	path   string
	types  map[string]declaration
	values map[string][]string // the constants of a type, in the order of the source
}

// markers are the `+name=value` lines of a comment.
type markers map[string]string

type reader struct {
	modules map[string]string
	pkgs    map[string]*pkg
	objects map[string]*object
	order   []*object
}

// kinds are the types with a JSON form of their own.
var kinds = map[string]string{
	"string": "String", "bool": "Bool", "int32": "Int32", "int64": "Int64",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":   "Quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString": "IntOrString",
	meta + ".Time":     "Time",
	meta + ".FieldsV1": "Any",
}

// openTypes are types with constants for only some of their values.
var openTypes = []string{core + ".ResourceName", core + ".StorageMedium"}

// unsortedTypes are the enumerations of Kubernetes that pillion's messages list in source order.
var unsortedTypes = []string{
	core + ".Protocol", core + ".TerminationMessagePolicy", meta + ".LabelSelectorOperator",
}

func newReader(modules map[string]string) *reader {
	return &reader{modules: modules, pkgs: map[string]*pkg{}, objects: map[string]*object{}}
}

// read returns the tables of both versions of SidecarSet and of every type in them. Inner types come first.
func (r *reader) read() []*object {
	alpha := r.pkg(kruise + "/apis/apps/v1alpha1")
	beta := r.pkg(kruise + "/apis/apps/v1beta1")
	if _, ok := beta.types["SidecarSet"]; !ok {
		beta = r.addTypes(alpha)
	}
	r.object(beta, "SidecarSet")
	r.object(alpha, "SidecarSet")
	return r.order
}

// pkg returns the types of a package of one of the modules.
func (r *reader) pkg(path string) *pkg {
	if known := r.pkgs[path]; known != nil {
		return known
	}
	p := &pkg{path: path, types: map[string]declaration{}, values: map[string][]string{}}
	r.pkgs[path] = p
	for module, folder := range r.modules {
		if below, ok := strings.CutPrefix(path, module+"/"); ok {
			r.parse(p, filepath.Join(folder, below))
			return p
		}
	}
	log.Fatalf("%s is in none of the modules of go.mod", path)
	return nil
}

func (r *reader) parse(p *pkg, folder string) {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(names) == 0 {
		log.Fatalf("%s: no Go files (%v)", folder, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			log.Fatal(err)
		}
		for _, decl := range file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					doc := spec.Doc
					if doc == nil {
						doc = general.Doc
					}
					p.types[spec.Name.Name] = declaration{spec, markersOf(doc), file, p}
				case *ast.ValueSpec:
					p.addValue(spec)
				}
			}
		}
	}
}

// addValue records a string constant of a type of the package. Kruise declares some as variables.
func (p *pkg) addValue(spec *ast.ValueSpec) {
	of, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			log.Fatal(err)
		}
		if !slices.Contains(p.values[of.Name], text) {
			p.values[of.Name] = append(p.values[of.Name], text)
		}
	}
}

func markersOf(doc *ast.CommentGroup) markers {
	found := markers{}
	if doc == nil {
		return found
	}
	for _, comment := range doc.List {
		if text, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(comment.Text, "//")), "+"); ok {
			name, value, _ := strings.Cut(text, "=")
			found[strings.TrimSpace(name)] = value
		}
	}
	return found
}

// object returns the table of a struct.
func (r *reader) object(p *pkg, name string) *object {
	id := p.path + "." + name
	if known := r.objects[id]; known != nil {
		return known
	}
	of := &object{name: name}
	r.objects[id] = of
	r.addFields(of, p.types[name])
	// A type that is the same in both versions of Kruise's API gets one table.
	for _, other := range r.order {
		if reflect.DeepEqual(other, &object{name, other.rust, of.base, of.fields}) {
			r.objects[id] = other
			return other
		}
	}
	of.rust = rustName(p, name)
	r.order = append(r.order, of)
	return of
}

func (r *reader) addFields(of *object, from declaration) {
	structure, ok := from.spec.Type.(*ast.StructType)
	if !ok {
		log.Fatalf("%s.%s is not a struct", from.pkg.path, from.spec.Name.Name)
	}
	for _, source := range structure.Fields.List {
		tag := ""
		if source.Tag != nil {
			text, _ := strconv.Unquote(source.Tag.Value)
			tag = reflect.StructTag(text).Get("json")
		}
		json, options, _ := strings.Cut(tag, ",")
		if json == "-" {
			continue
		}
		marks := markersOf(source.Doc)
		if json == "" {
			embedded := r.resolve(from, source.Type)
			if _, ok := marks[schemaless]; ok {
				of.base = r.object(embedded.pkg, embedded.spec.Name.Name)
			} else {
				r.addFields(of, embedded)
			}
			continue
		}
		of.fields = append(of.fields, r.field(from, source, json, strings.Contains(options, "omitempty"), marks))
	}
}

func (r *reader) field(from declaration, source *ast.Field, json string, omitsEmpty bool, marks markers) field {
	_, isPointer := source.Type.(*ast.StarExpr)
	result := field{json: json}
	result.kind, result.of, result.values = r.kind(from, source.Type)
	switch {
	case isPointer && omitsEmpty:
		result.presence = "pointer"
	case isPointer:
		result.presence = "nullable"
	case omitsEmpty:
		result.presence = "value"
	default:
		result.presence = "always"
	}
	_, isOptional := marks["optional"]
	_, isRequired := marks["required"]
	result.required = isRequired || !omitsEmpty && !isOptional
	if enum, ok := marks["kubebuilder:validation:Enum"]; ok {
		result.values = strings.Split(strings.Trim(enum, ";"), ";")
	}
	_, result.schemaless = marks[schemaless]
	result.schemaless = result.schemaless || result.of != nil && result.of.base != nil
	result.defaultValue = strings.Trim(marks["kubebuilder:default"], `"`)
	return result
}

// kind returns the type of a field: the variant of Rust's `ValueType`, its object, and the values of its enumeration.
func (r *reader) kind(from declaration, node ast.Expr) (string, *object, []string) {
	switch node := node.(type) {
	case *ast.StarExpr:
		return r.kind(from, node.X)
	case *ast.ArrayType:
		kind, of, values := r.kind(from, node.Elt)
		switch kind {
		case "String":
			return "StringList", nil, values
		case "Object":
			return "ObjectList", of, nil
		}
		log.Fatalf("%s: a list of %s", from.spec.Name.Name, kind)
	case *ast.MapType:
		key, _, _ := r.kind(from, node.Key)
		value, _, _ := r.kind(from, node.Value)
		switch {
		case key == "String" && value == "String":
			return "StringMap", nil, nil
		case key == "String" && value == "Quantity":
			return "QuantityMap", nil, nil
		}
		log.Fatalf("%s: a map of %s", from.spec.Name.Name, value)
	case *ast.Ident:
		if kind, ok := kinds[node.Name]; ok {
			return kind, nil, nil
		}
	}
	named := r.resolve(from, node)
	id := named.pkg.path + "." + named.spec.Name.Name
	if kind, ok := kinds[id]; ok {
		return kind, nil, nil
	}
	if _, ok := named.spec.Type.(*ast.StructType); ok {
		return "Object", r.object(named.pkg, named.spec.Name.Name), nil
	}
	kind, of, values := r.kind(named, named.spec.Type)
	if kind == "String" && !slices.Contains(openTypes, id) {
		values = slices.Clone(named.pkg.values[named.spec.Name.Name])
		if _, ok := named.markers["enum"]; ok && !slices.Contains(unsortedTypes, id) {
			// The order of Kubernetes' OpenAPI.
			slices.Sort(values)
		}
	}
	return kind, of, values
}

// resolve returns the declaration of a named type.
func (r *reader) resolve(from declaration, node ast.Expr) declaration {
	p, name := from.pkg, ""
	switch node := node.(type) {
	case *ast.StarExpr:
		return r.resolve(from, node.X)
	case *ast.Ident:
		name = node.Name
	case *ast.SelectorExpr:
		name = node.Sel.Name
		p = r.pkg(importPath(from.file, node.X.(*ast.Ident).Name))
	default:
		log.Fatalf("%s: unsupported form of a type: %T", from.spec.Name.Name, node)
	}
	found, ok := p.types[name]
	if !ok {
		log.Fatalf("%s has no type %s", p.path, name)
	}
	return found
}

// importPath returns the import path of a package name in a file.
func importPath(file *ast.File, name string) string {
	for _, imported := range file.Imports {
		path, _ := strconv.Unquote(imported.Path.Value)
		if imported.Name != nil && imported.Name.Name == name || imported.Name == nil && strings.HasSuffix(path, "/"+name) {
			return path
		}
	}
	log.Fatalf("%s: no import %s", file.Name.Name, name)
	return ""
}
