package main

import (
	"go/ast"
	"log"
	"slices"
)

// addTypes adds the additions to the types of v1alpha1 and returns the types of v1beta1.
func (r *reader) addTypes(alpha *pkg) *pkg {
	added := &pkg{path: alpha.path, types: map[string]declaration{}, values: alpha.values}
	r.parse(added, "additions")
	beta := &pkg{path: kruise + "/apis/apps/v1beta1", types: map[string]declaration{}, values: alpha.values}
	for name, addition := range added.types {
		if _, ok := alpha.types[name]; ok {
			merge(alpha.types[name], addition)
		} else if name != "SidecarSetSpecV1beta1" {
			addition.pkg = alpha
			alpha.types[name] = addition
		}
	}
	for name, declaration := range alpha.types {
		declaration.pkg = beta
		beta.types[name] = declaration
	}
	spec := alpha.types["SidecarSetSpec"]
	copied := *spec.spec
	fields := *spec.spec.Type.(*ast.StructType).Fields
	fields.List = slices.Clone(fields.List)
	copied.Type = &ast.StructType{Fields: &fields}
	spec.spec, spec.pkg = &copied, beta
	merge(spec, added.types["SidecarSetSpecV1beta1"])
	beta.types["SidecarSetSpec"] = spec
	return beta
}

// merge adds the fields of a struct to another one.
func merge(into, addition declaration) {
	list := into.spec.Type.(*ast.StructType).Fields
	position := func(name string) int {
		return slices.IndexFunc(list.List, func(f *ast.Field) bool { return len(f.Names) > 0 && f.Names[0].Name == name })
	}
	if name, ok := addition.markers["without"]; ok {
		list.List = slices.Delete(list.List, position(name), position(name)+1)
	}
	for _, field := range addition.spec.Type.(*ast.StructType).Fields.List {
		at := position(markersOf(field.Doc)["after"]) + 1
		if at == 0 {
			log.Fatalf("additions: %s names no field in +after", field.Names[0].Name)
		}
		list.List = slices.Insert(list.List, at, field)
	}
}
