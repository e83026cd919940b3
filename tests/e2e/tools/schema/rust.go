package main

import (
	"fmt"
	"strings"
	"unicode"
)

// rust prints the tables as statics.
func rust(objects []*object) string {
	var out strings.Builder
	out.WriteString("use super::ValueType::*;\nuse super::{ObjectSchema, always, nullable, pointer, value};\n")
	for _, of := range objects {
		base := "None"
		if of.base != nil {
			base = "Some(&" + of.base.rust + ")"
		}
		fmt.Fprintf(&out, "\n/// `%s`.\npub(crate) static %s: ObjectSchema = ObjectSchema {\n    name: %q,\n    base: %s,\n    fields: &[\n", of.name, of.rust, of.name, base)
		for _, field := range of.fields {
			fmt.Fprintf(&out, "        %s,\n", rustField(field))
		}
		out.WriteString("    ],\n};\n")
	}
	return out.String()
}

func rustField(f field) string {
	kind := f.kind
	switch kind {
	case "Object":
		kind = "Object(&" + f.of.rust + ")"
	case "ObjectList":
		kind = "ObjectList(&" + f.of.rust + ")"
	}
	text := fmt.Sprintf("%s(%q, %s)", f.presence, f.json, kind)
	if f.required {
		text += ".required()"
	}
	if len(f.values) > 0 {
		quoted := make([]string, len(f.values))
		for i, value := range f.values {
			quoted[i] = fmt.Sprintf("%q", value)
		}
		text += ".one_of(&[" + strings.Join(quoted, ", ") + "])"
	}
	if f.defaultValue != "" {
		text += fmt.Sprintf(".with_default(%q)", f.defaultValue)
	}
	if f.schemaless {
		text += ".schemaless()"
	}
	return text
}

// rustName returns the name of a static: HTTP_GET_ACTION of HTTPGetAction. Types with Kruise's two versions get the version as a suffix.
func rustName(p *pkg, name string) string {
	runes := []rune(name)
	var out strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) {
			startsWord := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]) || startsWord {
				out.WriteByte('_')
			}
		}
		out.WriteRune(unicode.ToUpper(r))
	}
	if name == "SidecarSet" || name == "SidecarSetSpec" {
		_, version, _ := strings.Cut(p.path, "/apis/apps/")
		out.WriteString("_" + strings.ToUpper(version))
	}
	return out.String()
}
