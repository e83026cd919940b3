//! Inputs of the integrations, made of a generated repository.

use crate::generate::{indent, relative_files};
use std::fs;
use std::path::{Path, PathBuf};

/// Writes the pillion.yaml that the config management plugin reads.
pub(crate) fn configuration(repository: &Path) -> std::io::Result<()> {
    let text = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsources: [apps]\nsidecarSets: [sidecars]\nnamespaces: [{folder: ., name: default}]\nlint: {job-never-completes: allow}\n";
    fs::write(repository.join("pillion.yaml"), text)
}

/// Writes a ResourceList with the SidecarSets and as many of the repository's objects as wanted, and returns its path.
pub(crate) fn resource_list(repository: &Path, items: usize) -> std::io::Result<PathBuf> {
    let mut text = String::from("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n");
    let mut count = 0;
    for folder in ["sidecars", "apps"] {
        for file in relative_files(repository, Path::new(folder))? {
            let content = fs::read_to_string(repository.join(file))?;
            for document in content.split("---\n").filter(|document| document.contains("kind: ")) {
                text += &format!("-\n{}", indent(document, 2));
                count += 1;
                if count == items + 3 {
                    let path = repository.join("resource-list.yaml");
                    fs::write(&path, text)?;
                    return Ok(path);
                }
            }
        }
    }
    panic!("the repository has {count} objects only");
}
