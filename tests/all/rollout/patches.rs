//! RFC 6902 patches of a plan: another implementation applies them to the old object and gets the new one, and rejects
//! them for any other object.

use json_patch::{Patch, PatchOperation, patch};
use pillion::rollout::patch::json_patch_between;
use pillion::yaml::FieldPath;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        "[a-c/~ ]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let named = (("[a-d]"), inner.clone()).prop_map(|(name, more)| json!({"name": name, "more": more}));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(named, 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c/~]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn objects() -> impl Strategy<Value = Value> {
    (values(), values()).prop_map(|(a, b)| json!({"spec": {"template": a, "strategy": b}}))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_patch_makes_the_new_object_of_the_old_one(old in objects(), new in objects(), item in 0..3_usize) {
        let base = FieldPath::dotted("items").child(item);
        let steps = json_patch_between(&old, &new, &base, &FieldPath::dotted("spec.template"));
        let list = |object: &Value| {
            let mut items = vec![json!({"other": true}); 4];
            items[item] = object.clone();
            json!({"items": items})
        };
        let mut patched = list(&old);
        patch(&mut patched, &Patch(steps.clone())).unwrap();
        prop_assert_eq!(patched, list(&new));
        prop_assert_eq!(steps.is_empty(), old == new);
        for (i, step) in steps.iter().enumerate() {
            let path = match step {
                PatchOperation::Replace(step) => &step.path,
                PatchOperation::Remove(step) => &step.path,
                _ => continue,
            };
            let before = i.checked_sub(1).map(|i| &steps[i]);
            prop_assert!(matches!(before, Some(PatchOperation::Test(test)) if test.path == *path));
        }
    }

    /// A whole object is replaced only where nothing else will do.
    #[test]
    fn one_more_item_touches_no_other(mut items in prop::collection::vec("[a-z]{3}", 0..6), at in 0..6_usize) {
        items.sort();
        items.dedup();
        let named = |names: &[String]| Value::from(names.iter().map(|n| json!({"name": n, "v": [1, 2]})).collect::<Vec<_>>());
        let old = named(&items);
        let at = at.min(items.len());
        items.insert(at, "NEW".to_owned());
        let steps = json_patch_between(&old, &named(&items), &FieldPath::root(), &FieldPath::root());
        let wanted = json!([{"op": "add", "path": format!("/{at}"), "value": {"name": "NEW", "v": [1, 2]}}]);
        prop_assert_eq!(json!(steps), wanted);
    }
}
