//! Decodes a SidecarOverride from a document, and checks what the JSON Schema cannot.

use super::wire::{OverrideSpecWire, OverrideWire, json_schema};
use super::{ContainerField, KIND, OverrideChange, OverrideField, OverrideTarget, SidecarOverride};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::document_schema::SchemaCheck;
use crate::model::json::{JsonObject, object_at, objects_at, text_at};
use crate::model::quantity::Quantity;
use crate::model::selector::Selector;
use crate::model::timestamp::is_day;
use crate::yaml::{Document, EntryPart, FieldPath};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Variables that injection writes or decides by; and those of Kruise that begin like this.
const RESERVED_VARIABLES: [&str; 3] = ["IS_INJECTED", "SIDECARSET_VERSION", "SIDECARSET_VERSION_ALT"];
const RESERVED_PREFIX: &str = "KRUISE_";

/// The directive of a strategic merge patch that removes an item of a list.
const PATCH_DIRECTIVE: &str = "$patch";

/// Reads the SidecarOverride at a path of a document, the root or an item of a list, and reports everything that is
/// wrong with it. With an error there is none.
pub(crate) fn decode(
    document: &Arc<Document>,
    base: &FieldPath,
) -> (Option<SidecarOverride>, Vec<Diagnostic>) {
    let check = SchemaCheck::at_path(document, base, "pillion schema override", json_schema());
    let (wire, diagnostics) = check.decode::<OverrideWire>(KIND);
    let Some(wire) = wire else { return (None, diagnostics) };
    let mut decoder = OverrideDecoder { document, base, diagnostics };
    let decoded = decoder.decode(wire);
    let is_sound = !decoder.diagnostics.iter().any(Diagnostic::is_error);
    (is_sound.then_some(decoded), decoder.diagnostics)
}

/// Reads the parts, and collects what is wrong.
struct OverrideDecoder<'a> {
    document: &'a Arc<Document>,
    base: &'a FieldPath,
    diagnostics: Vec<Diagnostic>,
}

impl OverrideDecoder<'_> {
    fn decode(&mut self, wire: OverrideWire) -> SidecarOverride {
        let metadata = FieldPath::dotted("metadata");
        let name = text_at(&wire.metadata, "name").to_owned();
        if name.is_empty() {
            self.report(&metadata.child("name"), "`metadata.name` is missing", "messages name it by this");
        }
        let namespace = wire.metadata.get("namespace").filter(|namespace| !namespace.is_null());
        if namespace.is_some_and(|namespace| namespace.as_str().is_none_or(str::is_empty)) {
            let help = "write the name of the namespace, or remove the key";
            self.report(&metadata.child("namespace"), "`metadata.namespace` is not a name", help);
        }
        let namespace = namespace.and_then(Value::as_str).map(str::to_owned);
        let spec = FieldPath::dotted("spec");
        let target = self.decode_target(&wire.spec);
        let changes = self.decode_changes(&wire.spec);
        let is_broken = self.diagnostics.iter().any(Diagnostic::is_error);
        if changes.is_empty() && !is_broken {
            let help = "write changes of `containers`, `exclude` or `hold`, or remove the document";
            self.report(&spec, &format!("SidecarOverride `{name}` changes nothing"), help);
        }
        SidecarOverride {
            name,
            namespace,
            sidecar_set: wire.spec.sidecar_set,
            target,
            changes,
            document: Arc::clone(self.document),
            path: self.base.clone(),
        }
    }

    fn decode_target(&mut self, spec: &OverrideSpecWire) -> OverrideTarget {
        let at = FieldPath::dotted("spec.selector");
        let written = self.base.join(&at).find(self.document.value());
        let selector = written.and_then(Value::as_object).map(Selector::from_map);
        if selector.as_ref().is_some_and(Selector::is_empty) {
            let help = "name labels; without `selector`, all workloads in the folder of this file and below are meant";
            self.report(&at, "`spec.selector` is empty", help);
        }
        match (&spec.workload, selector) {
            (Some(_), Some(_)) => {
                let message = "`spec.workload` and `spec.selector` cannot be used together";
                self.report(&at, message, "keep one of the two");
                OverrideTarget::Folder
            }
            (Some(workload), None) => {
                OverrideTarget::Workload { kind: workload.kind.clone(), name: workload.name.clone() }
            }
            (None, Some(selector)) => OverrideTarget::Selector(selector),
            (None, None) => OverrideTarget::Folder,
        }
    }

    fn decode_changes(&mut self, spec: &OverrideSpecWire) -> Vec<OverrideChange> {
        let mut changes = Vec::new();
        let at = FieldPath::dotted("spec");
        if let Some(exclude) = spec.exclude {
            let path = self.base.join(&at).child("exclude");
            changes.push(OverrideChange { field: OverrideField::Exclude, value: exclude.into(), path });
        }
        if let Some(hold) = &spec.hold {
            if !is_day(&hold.until) {
                let message = format!("`spec.hold.until` is not a date: `{}`", hold.until);
                let help = "write the last day of the hold as `YYYY-MM-DD`";
                self.report(&at.child("hold").child("until"), &message, help);
            }
            let value = json!({"until": hold.until, "reason": hold.reason});
            let path = self.base.join(&at).child("hold");
            changes.push(OverrideChange { field: OverrideField::Hold, value, path });
        }
        let document = Arc::clone(self.document);
        let written = self.base.join(&at).find(document.value()).and_then(Value::as_object);
        let containers = written.into_iter().flat_map(|spec| objects_at(spec, "containers"));
        let mut names = BTreeSet::new();
        for (i, container) in containers.enumerate() {
            let at = at.child("containers").child(i);
            let name = text_at(container, "name");
            if !names.insert(name) {
                let message = format!("container `{name}` is listed twice");
                self.report(&at.child("name"), &message, "join the two items");
            }
            let fields = self.decode_container(container, &at);
            changes.extend(fields.into_iter().map(|(part, value, path)| OverrideChange {
                field: OverrideField::Container { container: name.to_owned(), part },
                value,
                path: self.base.join(&path),
            }));
        }
        changes
    }

    /// Reads the changes of one container: field, value, path below the object.
    fn decode_container(
        &mut self,
        container: &JsonObject,
        at: &FieldPath,
    ) -> Vec<(ContainerField, Value, FieldPath)> {
        let mut fields = Vec::new();
        for list in ["limits", "requests"] {
            let amounts = object_at(container, "resources").and_then(|resources| object_at(resources, list));
            for (resource, amount) in amounts.into_iter().flatten() {
                let path = at.child("resources").child(list).child(resource.as_str());
                self.check_amount(amount, &path);
                let field = ContainerField::Resource { list, resource: resource.clone() };
                fields.push((field, amount.clone(), path));
            }
        }
        self.decode_items(container, at, ("env", "name"), &mut fields);
        if let Some(args) = container.get("args") {
            fields.push((ContainerField::Args, args.clone(), at.child("args")));
        }
        self.decode_items(container, at, ("volumeMounts", "mountPath"), &mut fields);
        fields
    }

    /// Reads the items of a list with a key each: variables or mounts.
    fn decode_items(
        &mut self,
        container: &JsonObject,
        at: &FieldPath,
        (list, key): (&'static str, &'static str),
        fields: &mut Vec<(ContainerField, Value, FieldPath)>,
    ) {
        let mut names = BTreeSet::new();
        for (i, item) in objects_at(container, list).enumerate() {
            let path = at.child(list).child(i);
            let name = text_at(item, key);
            if name.is_empty() {
                self.report(&path.child(key), &format!("`{key}` is empty"), "name it");
            } else if !names.insert(name) {
                self.report(&path.child(key), &format!("`{name}` is listed twice"), "keep one of the two");
            }
            let is_removed = item.contains_key(PATCH_DIRECTIVE);
            let value = if is_removed { Value::Null } else { without_nulls(item) };
            let field = if list == "env" {
                self.check_variable(name, item, &path);
                ContainerField::Variable(name.to_owned())
            } else {
                if !is_removed && text_at(item, "name").is_empty() {
                    let help = "name a volume of the pod, or remove the mount with `$patch: delete`";
                    self.report(&path, &format!("the mount at `{name}` names no volume"), help);
                }
                ContainerField::Mount(name.to_owned())
            };
            fields.push((field, value, path));
        }
    }

    fn check_variable(&mut self, name: &str, item: &JsonObject, path: &FieldPath) {
        if RESERVED_VARIABLES.contains(&name) || name.starts_with(RESERVED_PREFIX) {
            let message = format!("variable `{name}` cannot be overridden");
            let error = Diagnostic::error(Code::OverrideNotAllowed, message).field(path.to_string());
            self.diagnostics.push(
                error
                    .at(self.document.label(&self.base.join(path).child("name"), EntryPart::Value, ""))
                    .because("pillion and Kruise write it, or decide by it how the container is injected")
                    .help("change it in the SidecarSet"),
            );
        }
        if item.contains_key("value") && item.contains_key("valueFrom") {
            let message = format!("variable `{name}` has both `value` and `valueFrom`");
            self.report(&path.child("valueFrom"), &message, "keep one of the two");
        }
    }

    fn check_amount(&mut self, amount: &Value, path: &FieldPath) {
        let reason = match (amount, Quantity::from_value(amount)) {
            (Value::Null, _) => return,
            (_, Ok(quantity)) if quantity.sign() >= 0 => return,
            (_, Ok(quantity)) => format!("`{quantity}` is negative"),
            (_, Err(error)) => error.to_string(),
        };
        let error = Diagnostic::error(Code::InvalidQuantity, reason)
            .field(path.to_string())
            .at(self.document.label(&self.base.join(path), EntryPart::Value, ""))
            .help("write a quantity such as `100m`, `0.5` or `1Gi`");
        self.diagnostics.push(error);
    }

    fn report(&mut self, at: &FieldPath, message: &str, help: &str) {
        let label = self.document.label(&self.base.join(at), EntryPart::Value, "");
        let error = Diagnostic::error(Code::InvalidConfiguration, message).field(at.to_string());
        self.diagnostics.push(error.at(label).help(help));
    }
}

/// Returns an item as a pod has it: an empty key is as if absent.
fn without_nulls(item: &JsonObject) -> Value {
    Value::Object(item.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect())
}
