//! Checks the files that Kubernetes writes into volumes of secrets, config maps and the downward API.

use super::env::{check_field_ref, check_resource_ref};
use super::fields::{check_path, require};
use super::format;
use super::report::{FieldRef, ValidationReport};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, int_at, object_at, objects_at};
use crate::yaml::EntryPart;

/// The fields of a pod that a file of a volume can refer to.
const FILE_FIELDS: [&str; 5] =
    ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"];

/// Checks the `items` of a secret or config map.
pub(super) fn check_files(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    let list = at.child("items");
    for (i, file) in objects_at(source, "items").enumerate() {
        let at = list.item(i);
        require(report, file, &at);
        check_path(report, file, "path", &at, format::check_file_path);
        check_mode(report, file, "mode", &at);
    }
}

/// Checks one file of the downward API.
pub(super) fn check_downward_file(report: &mut ValidationReport<'_>, file: &JsonObject, at: &FieldRef) {
    require(report, file, at);
    check_path(report, file, "path", at, format::check_file_path);
    let sources = (object_at(file, "fieldRef"), object_at(file, "resourceFieldRef"));
    let message = match sources {
        (Some(field_ref), None) => {
            check_field_ref(report, field_ref, &FILE_FIELDS, &at.child("fieldRef"));
            None
        }
        (None, Some(resource)) => {
            check_resource_ref(report, resource, true, &at.child("resourceFieldRef"));
            None
        }
        (Some(_), Some(_)) => Some("`fieldRef` and `resourceFieldRef` cannot be used together"),
        (None, None) => Some("a file requires `fieldRef` or `resourceFieldRef`"),
    };
    if let Some(message) = message {
        report.error(
            Code::InvalidValue,
            at,
            EntryPart::Value,
            message.into(),
            "write exactly one of the two",
        );
    }
    check_mode(report, file, "mode", at);
}

/// Checks a file mode.
pub(super) fn check_mode(report: &mut ValidationReport<'_>, object: &JsonObject, key: &str, at: &FieldRef) {
    if object.contains_key(key) && !(0..=0o777).contains(&int_at(object, key)) {
        let value = format!("0{:o}", int_at(object, key));
        report.invalid(&at.child(key), &value, "must be from 0 to 0777");
    }
}
