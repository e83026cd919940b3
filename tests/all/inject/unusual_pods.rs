//! Injects into pods with unusual values in every place.

use super::conformance::all_cases;
use crate::support::pod_normalization::difference;
use pillion::model::config::AnnotationMode;
use serde_json::{Value, json};

/// Puts unusual values in the place of every node of every pod, one at a time.
#[test]
fn unusual_pods_are_refused_or_settle() {
    let unusual =
        [Value::Null, Value::Bool(true), Value::from(7), Value::from("unusual"), json!([]), json!({})];
    let (mut failures, mut runs) = (Vec::new(), 0);
    for case in all_cases().iter().step_by(4) {
        let mut places = Vec::new();
        collect(case.pod.value(), String::new(), &mut places);
        for place in places {
            for value in &unusual {
                let mut pod = case.pod.value().clone();
                *pod.pointer_mut(&place).expect("the place was found") = value.clone();
                let Some(first) = case.inject(&pod, AnnotationMode::Kruise) else { continue };
                runs += 1;
                let Some(first) = first.template else { continue };
                let again = case.inject(&first, AnnotationMode::Kruise).and_then(|o| o.template);
                if let Some(found) = again.and_then(|again| difference(&first, &again, "")) {
                    failures.push(format!("{} {place} {value}: {found}", case.id));
                }
            }
        }
    }
    assert!(runs > 1000 && failures.is_empty(), "{runs} runs\n{}", failures.join("\n"));
}

fn collect(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            collect(value, format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")), places);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| collect(item, format!("{place}/{i}"), places));
        }
        _ => {}
    }
    places.push(place);
}
