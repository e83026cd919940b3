//! Types of apimachinery that several API types share, fields in Go order (Kubernetes 1.32).

use super::Type::{Any, Bool, Int64, Objects, Text, TextMap, Texts, Time};
use super::{Object, always, pointer, value};

pub(super) static LOCAL_OBJECT_REFERENCE: Object =
    Object { name: "LocalObjectReference", base: None, fields: &[value("name", Text)] };

pub(super) static OBJECT_FIELD_SELECTOR: Object = Object {
    name: "ObjectFieldSelector",
    base: None,
    fields: &[value("apiVersion", Text), always("fieldPath", Text)],
};

pub(super) static LABEL_SELECTOR: Object = Object {
    name: "LabelSelector",
    base: None,
    fields: &[value("matchLabels", TextMap), value("matchExpressions", Objects(&LABEL_SELECTOR_REQUIREMENT))],
};

pub(super) static LABEL_SELECTOR_REQUIREMENT: Object = Object {
    name: "LabelSelectorRequirement",
    base: None,
    fields: &[always("key", Text), always("operator", Text), value("values", Texts)],
};

pub(super) static OBJECT_META: Object = Object {
    name: "ObjectMeta",
    base: None,
    fields: &[
        value("name", Text),
        value("generateName", Text),
        value("namespace", Text),
        value("selfLink", Text),
        value("uid", Text),
        value("resourceVersion", Text),
        value("generation", Int64),
        value("creationTimestamp", Time),
        pointer("deletionTimestamp", Time),
        pointer("deletionGracePeriodSeconds", Int64),
        value("labels", TextMap),
        value("annotations", TextMap),
        value("ownerReferences", Objects(&OWNER_REFERENCE)),
        value("finalizers", Texts),
        value("managedFields", Objects(&MANAGED_FIELDS_ENTRY)),
    ],
};

pub(super) static OWNER_REFERENCE: Object = Object {
    name: "OwnerReference",
    base: None,
    fields: &[
        always("apiVersion", Text),
        always("kind", Text),
        always("name", Text),
        always("uid", Text),
        pointer("controller", Bool),
        pointer("blockOwnerDeletion", Bool),
    ],
};

pub(super) static MANAGED_FIELDS_ENTRY: Object = Object {
    name: "ManagedFieldsEntry",
    base: None,
    fields: &[
        value("manager", Text),
        value("operation", Text),
        value("apiVersion", Text),
        pointer("time", Time),
        value("fieldsType", Text),
        pointer("fieldsV1", Any),
        value("subresource", Text),
    ],
};
