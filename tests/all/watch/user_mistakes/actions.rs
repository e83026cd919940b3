//! What people do beside the watchers.

use super::*;

impl Schedule<'_> {
    /// Does something that a person does, or undoes it.
    pub(super) fn people(&mut self) {
        if let Some(mistake) = self.mistake.take() {
            self.fix_mistake(mistake);
            return;
        }
        let n = self.shared.borrow_mut().dice.roll(UserAction::ALL.len() as u64);
        let action = UserAction::ALL[usize::try_from(n).unwrap()];
        self.story.push(format!("{action:?} on {}", self.head().short()));
        self.run(action);
    }

    fn run(&mut self, action: UserAction) {
        let text = |path: &str| self.text(path);
        let files = match action {
            UserAction::BreakSet => vec![(SET, text(SET).map(|t| t.replacen("    image:", "   image:", 1)))],
            UserAction::BreakLedger => {
                vec![(LEDGER, text(LEDGER).map(|t| t.replacen("spec:\n", "spec\n", 1)))]
            }
            UserAction::BreakConfiguration => {
                vec![(
                    "pillion.yaml",
                    text("pillion.yaml").map(|t| t.replacen("sidecarSets:", "sidecarsets:", 1)),
                )]
            }
            UserAction::BreakManifest => {
                let (path, _) = APPLICATIONS[0];
                vec![(path, text(path).map(|t| t.replacen("  template:", " template:", 1)))]
            }
            UserAction::DeleteSet => vec![(SET, None), ("sidecars/.keep", Some(String::new()))],
            UserAction::MistypeSelector => {
                vec![(SET, text(SET).map(|t| t.replacen("{log: \"true\"}", "{lgo: \"true\"}", 1)))]
            }
            UserAction::ReadElsewhere if self.layout != Layout::Built => {
                vec![("pillion.yaml", text("pillion.yaml").map(|t| t.replacen("[apps]", "[sidecars]", 1)))]
            }
            UserAction::HideManifest if self.layout != Layout::Built => {
                let (path, _) = APPLICATIONS[1];
                vec![(path, None), ("apps/shop/cart.yaml.txt", text(path))]
            }
            // Before a rollout is opened what a build should make is unknown (docs/safety.md).
            UserAction::Build(Build::LosesOne) if self.ledger().is_none_or(|l| l.target.is_none()) => return,
            UserAction::Build(build) if self.layout == Layout::Built => {
                self.build = build;
                Vec::new()
            }
            UserAction::RevertBatch => {
                self.revert();
                return;
            }
            UserAction::Edit => {
                self.edit();
                return;
            }
            UserAction::EditWhilePaused => {
                if self.verb(&["pause", "log", "--reason=a closer look"]) {
                    self.edit();
                    assert!(self.verb(&["start", "log"]), "{}", self.story.join("\n"));
                }
                return;
            }
            UserAction::Pause => {
                if self.verb(&["pause", "log", "--reason=lunch"]) {
                    self.mistake = Some(OpenMistake { action, stops: true, before: Vec::new() });
                }
                return;
            }
            UserAction::Hold => {
                self.hold();
                return;
            }
            UserAction::Release => {
                if let Some((key, _)) = self.held.pop_first() {
                    assert!(self.verb(&["hold", "--off", &key]), "{}", self.story.join("\n"));
                }
                return;
            }
            UserAction::ReadElsewhere | UserAction::HideManifest | UserAction::Build(_) => return,
        };
        let is_counted = self.layout == Layout::Rendered || self.ledger().is_some_and(|l| l.target.is_some());
        let before = files.iter().map(|(path, _)| ((*path).to_owned(), self.text(path))).collect();
        let files: Vec<_> = files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect();
        if files.is_empty() {
            // A build is nothing that git sees.
        } else {
            let is_other = files.iter().any(|(path, text)| self.text(path) != *text);
            assert!(is_other, "{action:?} changes nothing");
            self.push(&format!("{action:?}"), &files);
        }
        self.mistake = Some(OpenMistake { action, stops: action.stops_everything(is_counted), before });
    }

    pub(super) fn fix_mistake(&mut self, mistake: OpenMistake) {
        self.story.push(format!("{:?} is fixed on {}", mistake.action, self.head().short()));
        self.build = Build::Well;
        if mistake.action == UserAction::Pause {
            assert!(self.verb(&["resume", "log"]), "{}", self.story.join("\n"));
        } else if !mistake.before.is_empty() {
            self.push(&format!("{:?} is fixed", mistake.action), &mistake.before);
        }
    }

    /// Takes a batch that is out back, as `git revert` does.
    fn revert(&mut self) {
        let head = self.commit_of(self.head());
        if head.trailer(trailer::ACTION).as_deref() != Some("Batch") {
            return;
        }
        let parent = self.commit_of(head.parents[0]);
        let repository = &self.opened.repository;
        let paths = |tree: ObjectId| -> BTreeMap<String, ObjectId> {
            let files = repository.list_files(tree, &[""]).unwrap().into_iter();
            files.map(|f| (f.path, f.id)).collect()
        };
        let (old, new) = (paths(parent.tree), paths(head.tree));
        let text = |id: &ObjectId| String::from_utf8(repository.read_blob(*id).unwrap()).unwrap();
        let changed = new.iter().filter(|(path, id)| old.get(*path) != Some(id));
        let pairs: Vec<(String, Option<String>, Option<String>)> =
            changed.map(|(path, id)| (path.clone(), old.get(path).map(text), Some(text(id)))).collect();
        let back: Vec<_> = pairs.iter().map(|(path, old, _)| (path.clone(), old.clone())).collect();
        self.push("Revert a batch", &back);
        let before = pairs.into_iter().map(|(path, _, new)| (path, new)).collect();
        self.mistake = Some(OpenMistake { action: UserAction::RevertBatch, stops: true, before });
    }

    /// Merges a newer image of the sidecar.
    fn edit(&mut self) {
        let now = self.text(SET).unwrap();
        let image = now.lines().find(|l| l.contains("image:")).unwrap().to_owned();
        self.version += 1;
        let newer = now.replace(&image, &format!("    image: registry.example/logtail:2.{}.0", self.version));
        self.push("log: a newer image", &[(SET.to_owned(), Some(newer))]);
    }

    fn hold(&mut self) {
        let n = usize::try_from(self.shared.borrow_mut().dice.roll(3)).unwrap();
        let (word, key) = [
            ("Deployment/shop/web", "Deployment/shop/web"),
            ("CloneSet/shop/cart", "CloneSet/shop/cart"),
            ("StatefulSet/data/events", "StatefulSet/data/events"),
        ][n];
        let ledger = self.ledger().unwrap();
        let is_split = ledger
            .entries
            .iter()
            .any(|(k, l)| k.ends_with(&word[word.find('/').unwrap()..]) && l.partition.is_some());
        if self.held.contains_key(key) || is_split {
            return;
        }
        if self.verb(&["hold", word, "--reason=not ready"]) {
            let image = self.images().unwrap()[key].clone().unwrap();
            self.held.insert(key.to_owned(), image);
        }
    }

    /// An application is released, as its own team does.
    pub(super) fn release_application(&mut self) {
        let n = self.version * 1000 + u32::try_from(self.story.len()).unwrap();
        let (path, _) = APPLICATIONS[0];
        let edit = |text: String| {
            let line = text.lines().find(|l| l.contains("image: registry.example/web:")).unwrap().to_owned();
            let indent = &line[..line.len() - line.trim_start().len()];
            text.replace(&line, &format!("{indent}image: registry.example/web:{n}"))
        };
        let mut files = vec![(path.to_owned(), self.text(path).map(edit))];
        if self.layout == Layout::Rendered {
            // The team renders as `render --out` does: by the ledgers that are live.
            let (deploy_branch, _) = self.opened.read_deploy_branch().unwrap();
            let deploy_branch = deploy_branch.unwrap();
            let place = ("main".to_owned(), self.commit_files(self.head(), "an application", &files));
            let ahead = DeployBranch::read_at(
                &self.opened.repository,
                &deploy_branch.branches,
                &self.opened.config,
                place,
            );
            let (view, _) = ahead.unwrap().0.unwrap().cluster_view(None);
            view.render_all(&view.prepared.renderer, |input, text, file| {
                if &*input.name == path {
                    let text = file.text(text).into_owned();
                    files.push((path.replacen("apps", "rendered", 1), Some(text)));
                }
            });
        }
        self.story.push(format!("an application is released on {}", self.head().short()));
        self.push("an application's own release", &files);
    }
}
