//! Inputs of the integrations, made of a generated repository.

use crate::generate::{indent, relative_files};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes the pillion.yaml that the config management plugin reads.
pub(crate) fn configuration(repository: &Path) -> std::io::Result<()> {
    let text = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsources: [apps]\nsidecarSets: [sidecars]\nnamespaces: [{folder: ., name: default}]\nlint: {job-never-completes: allow}\n";
    fs::write(repository.join("pillion.yaml"), text)
}

/// Copies the folders of some workloads into a folder of their own, as an Application has it, and returns that.
pub(crate) fn application(repository: &Path, workloads: usize) -> std::io::Result<PathBuf> {
    let application = repository.join("application");
    let mut folders = BTreeSet::new();
    for file in relative_files(repository, Path::new("apps"))? {
        let Some(folder) = Path::new(&file).parent().map(Path::to_owned) else { continue };
        if folders.len() == workloads && !folders.contains(&folder) {
            break;
        }
        let to = application.join(folder.file_name().unwrap_or_default());
        fs::create_dir_all(&to)?;
        fs::copy(repository.join(&file), to.join(Path::new(&file).file_name().unwrap_or_default()))?;
        folders.insert(folder);
    }
    Ok(application)
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
