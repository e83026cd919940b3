//! Everything that is known of one cluster: its manifests, SidecarSets and ledgers, from a folder or a commit.

use super::places::shared_files;
use super::present::holds;
use super::twice::twice;
use super::{Supposed, stray_paths};
use crate::confine::Place;
use crate::diag::{Code, Diagnostic, Label};
use crate::model::kustomization;
use crate::model::ledger::{Ledger, Revision};
use crate::model::repository::{self, NamespaceRule, Repository, Rollout};
use crate::model::sidecar_set::SidecarSet;
use crate::plan::fleet::{Fleet, Unit};
use crate::plan::settings::Settings;
use crate::plan::{Course, Near, Surroundings, may_hold_objects, objects_of};
use crate::read::{
    Choice, Cluster, Files, Input, Layout, Namespaces, Source, UNSPECIFIED, built, choose, in_order, text,
};
use crate::render::{
    File, Gathered, How, Ingredients, Located, Manifest, Prepared, RenderedFile, Renderer, gather, prepare,
    render_file,
};
use crate::yaml::{Document, split};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// pillion.yaml, read.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// What it says.
    pub repository: Repository,
    /// What it says of files.
    pub layout: Layout,
    /// The document, for places in it.
    pub document: Option<Arc<Document>>,
}

impl Configuration {
    /// Reads pillion.yaml of a repository; with an error there is no configuration.
    pub fn read(files: &dyn Files, file: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        let folder = file.parent().unwrap_or(Path::new(""));
        let place = files.top(folder, None).and_then(|top| top.place(file));
        Self::read_at(files, file, &place.unwrap_or_else(|| Place::typed(file)))
    }

    /// Reads a file that a person named as pillion.yaml, which may be a link.
    pub fn read_named(files: &dyn Files, file: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        Self::read_at(files, file, &Place::typed(file))
    }

    fn read_at(files: &dyn Files, file: &Path, place: &Place) -> (Option<Self>, Vec<Diagnostic>) {
        let name: Arc<str> = file.to_string_lossy().into();
        let folder = file.parent().unwrap_or(Path::new(""));
        match files.text_at(place, file, &name).and_then(|text| Document::read(&name, 0, 1, &text)) {
            Ok(document) => {
                let (repository, mut wrong) = repository::decode(&document);
                let layout = Layout { top: files.top(folder, None), ..layout(&repository, folder) };
                wrong.extend(stray_paths(files, &layout, &document));
                let is_sound = !wrong.iter().any(Diagnostic::is_error);
                let document = Some(Arc::new(document));
                (is_sound.then_some(Self { repository, layout, document }), wrong)
            }
            Err(error) => (None, vec![error]),
        }
    }
}

/// What pillion.yaml says of files.
pub fn layout(repository: &Repository, root: &Path) -> Layout {
    let rule = |r: &NamespaceRule| Some((r.folder.clone()?, r.name.as_str().into()));
    let cluster =
        |c: &repository::Cluster| Cluster { name: c.name.as_str().into(), folder: c.folder.clone() };
    Layout {
        root: root.to_owned(),
        sources: repository.sources.clone(),
        sidecar_sets: repository.sidecar_sets.clone(),
        ignore: repository.ignore.clone(),
        rendered: repository.rendered.clone(),
        ledgers: repository.ledgers.clone(),
        namespaces: repository.namespaces.iter().filter_map(rule).collect(),
        clusters: repository.clusters.iter().map(cluster).collect(),
        top: None,
    }
}

/// Where the parts of a site are.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Manifests, SidecarSets and pillion.yaml.
    pub files: &'a dyn Files,
    /// Ledgers; with two branches those of the live one.
    pub ledgers: &'a dyn Files,
    /// Manifests that a command has built, in place of those of the sources: name and text.
    pub built: Option<(&'a str, &'a str)>,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<&'a str>,
}

/// Everything that is known of one cluster.
#[derive(Debug)]
pub struct Site {
    /// pillion.yaml.
    pub configuration: Configuration,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<Arc<str>>,
    /// The renderer, the SidecarSets as they are written, and the ledgers.
    pub prepared: Prepared,
    /// What else in git decides about pods: autoscalers, budgets, quotas.
    pub surroundings: Surroundings,
    /// The manifests are no plain files: a command built them, or a person handed them over.
    pub is_built: bool,
    inputs: Vec<(Input, Arc<str>)>,
    workloads: Workloads,
    /// Where those of each input begin among them.
    first_workloads: Vec<usize>,
    supposed_rollout: Rollout,
}

impl Site {
    /// Reads everything. With an error among the diagnostics the site is of no use but to show more of them.
    pub fn load(configuration: &Configuration, from: &Sources<'_>) -> (Self, Vec<Diagnostic>) {
        Self::suppose(configuration, from, &Supposed::default())
    }

    /// Reads everything, some of it otherwise than it is written: for plans that try something out.
    pub fn suppose(
        configuration: &Configuration,
        from: &Sources<'_>,
        supposed: &Supposed<'_>,
    ) -> (Self, Vec<Diagnostic>) {
        let (mut choice, mut diagnostics) = choice(&configuration.layout);
        choice.typed = supposed.sources.iter().chain(supposed.sidecar_sets).cloned().collect();
        if let Some(name) = supposed.namespace {
            choice.namespaces = Namespaces { otherwise: name.into(), rules: Vec::new() };
        }
        let layout = &configuration.layout;
        let mut choose_in = |paths: &[PathBuf]| {
            let chosen = choose(from.files, paths, &choice);
            diagnostics.extend(chosen.diagnostics);
            chosen.inputs
        };
        let mut manifests = match (from.built, supposed.sources) {
            (Some(_), _) => Vec::new(),
            (None, []) => choose_in(&layout.sources()),
            (None, sources) => choose_in(sources),
        };
        let (ledgers, wrong) = ledgers(layout, from);
        let mut set_paths = layout.sidecar_sets(from.files, from.ledgers);
        let missing_sets = layout.missing_sidecar_sets(from.files, from.ledgers);
        if supposed.ledgers.as_ref().is_some_and(|supposed| !supposed.is_empty()) {
            // A supposed ledger may be of a SidecarSet that is deleted, the last one of its folder.
            set_paths.retain(|path| from.files.kind(path).is_some());
        }
        set_paths.extend_from_slice(supposed.sidecar_sets);
        let sets = choose_in(&set_paths);
        let cluster = layout.clusters.iter().find(|c| Some(&*c.name) == from.cluster);
        if let Some(cluster) = cluster {
            manifests.retain(|m| layout.is_in(cluster, m));
        }
        diagnostics.extend(wrong.into_iter().chain(missing_sets));
        diagnostics.extend(shared_files(&configuration.repository, layout, from.cluster, &manifests));
        let known: BTreeSet<Arc<str>> = manifests.iter().map(|m| Arc::clone(&m.name)).collect();
        let of_sets: BTreeSet<Arc<str>> = sets.iter().map(|s| Arc::clone(&s.name)).collect();
        let (mut inputs, found) = read(manifests, from.files, &of_sets);
        let further = sets.into_iter().filter(|s| !known.contains(&s.name)).collect();
        let mut further = read(further, from.files, &of_sets).1;
        let mut gathered = found;
        if let Some((name, text)) = from.built {
            let text: Arc<str> = text.into();
            let input = built(&name.into(), &text, from.cluster, (&layout.root, &choice.namespaces));
            gathered.merge(gather(&input.name, &text, true));
            inputs.push((input, text));
        }
        for found in [&mut gathered, &mut further] {
            diagnostics.extend(supposed.rewrite(&mut found.sidecar_sets));
        }
        // What of them cannot be read is among the diagnostics already.
        let surroundings = Surroundings::new(inputs.iter().flat_map(|(i, text)| objects(i, text)).collect());
        let (prepared, wrong) = prepare(Ingredients {
            manifests: gathered,
            sidecar_sets: further,
            ledgers,
            history: Gathered::default(),
            named_for_sets: &set_paths,
            repository: &configuration.repository,
            annotations: None,
            keeps_sidecar_sets: false,
            trace: false,
            supposed: supposed.ledgers.as_ref(),
        });
        diagnostics.extend(wrong);
        let (workloads, first_workloads, wrong) = find_workloads(&inputs, &prepared.renderer);
        diagnostics.extend(wrong);
        let site = Self {
            configuration: configuration.clone(),
            cluster: cluster.map(|c| Arc::clone(&c.name)),
            prepared,
            surroundings,
            is_built: from.built.is_some(),
            inputs,
            workloads,
            first_workloads,
            supposed_rollout: supposed.rollout.clone(),
        };
        diagnostics.extend(twice(&site));
        diagnostics.extend(site.misnamed());
        (site, diagnostics)
    }

    /// Returns the SidecarSets that have a rollout or could have one: those in the files and those with a ledger.
    pub fn names(&self) -> BTreeSet<Arc<str>> {
        let written = self.prepared.sets.iter().map(|s| Arc::from(s.name.as_str()));
        written.chain(self.prepared.ledgers.keys().cloned()).collect()
    }

    /// Returns the ledger of a SidecarSet; where there is none, one with nothing released.
    pub fn ledger(&self, name: &str) -> Ledger {
        self.prepared.ledgers.get(name).cloned().unwrap_or_else(|| Ledger::new(name))
    }

    /// Returns the content of a SidecarSet as it is written; None: it is not there any more.
    pub fn source(&self, name: &str) -> Option<Revision> {
        self.prepared.sets.iter().find(|s| s.name == name).map(Revision::of)
    }

    /// Returns what is known of the rollout of a SidecarSet.
    pub fn course(&self, name: &str) -> (Course<'_>, Vec<Diagnostic>) {
        self.course_from(&self.ledger(name))
    }

    /// Returns what is known of the rollout of a SidecarSet if its ledger were this one.
    pub fn course_from(&self, ledger: &Ledger) -> (Course<'_>, Vec<Diagnostic>) {
        let name = &*ledger.name;
        let (rollout, diagnostics) = self.settings(name);
        let mut course = self.course_with(ledger, &rollout);
        let set = self.prepared.sets.iter().find(|s| s.name == name);
        course.settings.steps_at = self.steps_at(set.map(Arc::as_ref));
        (course, diagnostics)
    }

    /// Returns how the rollouts of a SidecarSet go: what pillion.yaml says, and its annotation says otherwise.
    pub fn settings(&self, name: &str) -> (Rollout, Vec<Diagnostic>) {
        let set = self.prepared.sets.iter().find(|s| s.name == name);
        let rollout = self.configuration.repository.rollout.clone().unwrap_or_default();
        let (rollout, diagnostics) = set.map_or_else(|| (rollout.clone(), Vec::new()), |s| own(s, &rollout));
        (rollout.overridden(&self.supposed_rollout), diagnostics)
    }

    /// Where the steps of a rollout are written.
    fn steps_at(&self, set: Option<&SidecarSet>) -> Option<Label> {
        if self.supposed_rollout.steps.is_some() {
            return None;
        }
        if let Some(set) = set.filter(|s| s.annotation(OWN).is_some_and(|text| text.contains("steps"))) {
            let at = set.path.join(&crate::yaml::Path::dotted("metadata.annotations")).then(OWN);
            return Some(set.document.label(&at, crate::yaml::Part::Key, ""));
        }
        let document = self.configuration.document.as_ref()?;
        let at = crate::yaml::Path::dotted("rollout.steps");
        at.find(document.value()).map(|_| document.label(&at, crate::yaml::Part::Value, ""))
    }

    fn course_with(&self, ledger: &Ledger, rollout: &Rollout) -> Course<'_> {
        let name = &*ledger.name;
        let set = self.prepared.sets.iter().find(|s| s.name == name);
        let located = self.workloads.iter().flat_map(|(d, all)| all.iter().map(move |l| (d, l)));
        let units = located.map(|(document, located)| {
            let mut unit = Unit::new(Arc::clone(document), located.clone());
            unit.is_autoscaled = self.surroundings.is_autoscaled(&unit.located);
            unit
        });
        let replaces = self.replaces(ledger);
        let mut split_elsewhere = self.split_by_others(name);
        // What a set splits whose place this one takes is whole again behind it.
        split_elsewhere.retain(|_, other| !replaces.contains(other));
        let mut course = Course {
            name: name.into(),
            cluster: self.cluster.clone(),
            source: set.map(Revision::of),
            settings: Settings::new(rollout, set.map(Arc::as_ref)),
            fleet: Fleet::new(&self.prepared.renderer, name, units.collect()),
            split_elsewhere,
            replaces_all: self.replaces_all(name, &replaces),
            held_elsewhere: self.held_in(&replaces),
            replaced_by: self.replaced_by(ledger),
            replaces,
            sizes_elsewhere: self.known_to_others(name),
            is_built: self.is_built,
            held_unselected: BTreeSet::new(),
        };
        course.held_unselected =
            self.standing(&held_by_people(ledger, |key| course.fleet.find(key).is_none()));
        self.look_ahead(&course);
        course
    }

    /// Finds out on all cores what the plan is going to ask of every workload.
    fn look_ahead(&self, course: &Course<'_>) {
        let ledger = self.ledger(&course.name);
        let target =
            ledger.target.clone().unwrap_or_else(|| course.source.as_ref().map(|r| Arc::clone(&r.name)));
        let fleet = &course.fleet;
        let look = |unit: &Unit| {
            if !ledger.is_settled(unit.line(&ledger).as_deref(), &target) {
                fleet.change(unit, &ledger.released, &target);
            }
        };
        in_order(fleet.units(), look, |()| ());
    }

    /// The workloads that rollouts of other SidecarSets have split, each with that set.
    fn split_by_others(&self, name: &str) -> BTreeMap<Arc<str>, Arc<str>> {
        let others = self.prepared.ledgers.values().filter(|l| &*l.name != name);
        let lines = others.flat_map(|ledger| ledger.lines.iter().map(move |(key, line)| (ledger, key, line)));
        let split = lines.filter(|(_, _, line)| line.partition.is_some());
        split.map(|(ledger, key, _)| (Arc::clone(key), Arc::clone(&ledger.name))).collect()
    }

    /// The pods of workloads that the ledgers of other SidecarSets know.
    fn known_to_others(&self, name: &str) -> BTreeMap<Arc<str>, u32> {
        let others = self.prepared.ledgers.values().filter(|l| &*l.name != name);
        others.flat_map(|ledger| ledger.sizes.iter().map(|(key, pods)| (Arc::clone(key), *pods))).collect()
    }

    /// Returns those of some workloads that stand among the inputs, whether a SidecarSet selects them or not.
    pub(super) fn standing(&self, keys: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        if keys.is_empty() {
            return found;
        }
        let work = |(input, text): &(Input, Arc<str>)| {
            let namespace = namespace_of(input);
            let stands = |key: &&Arc<str>| holds(text, &input.name, Some(namespace), key);
            keys.iter().filter(stands).map(Arc::clone).collect::<Vec<_>>()
        };
        in_order(&self.inputs, work, |keys| found.extend(keys));
        found
    }

    /// Returns the workloads that some SidecarSet may select, each with its file, where that is one of git.
    pub(super) fn plain_inputs_of_workloads(&self) -> impl Iterator<Item = (&Arc<str>, &Path)> {
        self.inputs_of_workloads().filter_map(|(key, number)| match &self.inputs[number].0.source {
            Source::File(path) => Some((key, path.as_path())),
            Source::Stdin | Source::Text(_) => None,
        })
    }

    /// Renders every file, in parallel, and hands the results over in order.
    pub fn render(&self, renderer: &Renderer, mut take: impl FnMut(&Input, &Arc<str>, RenderedFile)) {
        let numbers: Vec<usize> = (0..self.inputs.len()).collect();
        let mut inputs = self.inputs.iter();
        in_order(
            &numbers,
            |number| self.render_one(*number, renderer),
            |rendered| {
                if let Some((input, text)) = inputs.next() {
                    take(input, text, rendered);
                }
            },
        );
    }

    /// Renders the file of an input, known by its number.
    pub(super) fn render_one(&self, number: usize, renderer: &Renderer) -> RenderedFile {
        let (input, text) = &self.inputs[number];
        let end = self.first_workloads.get(number + 1).copied().unwrap_or(self.workloads.len());
        let file = File {
            name: &input.name,
            namespace: &input.namespace,
            is_named: input.is_named,
            text,
            documents: &self.workloads[self.first_workloads[number]..end],
        };
        render_file(&file, renderer, How::default())
    }

    /// Returns the inputs and their texts, in order.
    pub fn inputs(&self) -> &[(Input, Arc<str>)] {
        &self.inputs
    }

    /// Returns the documents that hold workloads which some SidecarSet may select.
    pub(super) fn workloads(&self) -> &[(Arc<Document>, Vec<Located>)] {
        &self.workloads
    }

    /// Returns the workloads that some SidecarSet may select, each with the number of the input it stands in.
    pub(super) fn inputs_of_workloads(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let numbers: BTreeMap<&str, usize> =
            self.inputs.iter().enumerate().map(|(i, (input, _))| (&*input.name, i)).collect();
        let located = self.workloads.iter().flat_map(|(d, all)| all.iter().map(move |l| (d, l)));
        located.filter_map(move |(d, l)| Some((&l.key, *numbers.get(&**d.file())?)))
    }

    /// Workloads whose namespace nobody says; and of built ones, those that ledgers know by another.
    fn misnamed(&self) -> Vec<Diagnostic> {
        let renderer = &self.prepared.renderer;
        let located = || self.workloads.iter().flat_map(|(d, all)| all.iter().map(move |l| (d, l)));
        let mut found: Vec<Diagnostic> = located().filter_map(|(d, l)| renderer.unspecified(d, l)).collect();
        if let (true, Some((input, _))) = (self.is_built, self.inputs.last()) {
            let present = located().map(|(_, l)| Arc::clone(&l.key)).collect();
            let at = Label::whole_file(Arc::clone(&input.name));
            found.extend(renderer.strangers(&present, &self.prepared.declared_namespaces, &at));
        }
        found
    }
}

/// The annotation of a SidecarSet that says how its own rollouts go.
const OWN: &str = "pillion.dev/rollout";

/// The settings of a SidecarSet: those of pillion.yaml, and what its annotation says otherwise.
fn own(set: &SidecarSet, rollout: &Rollout) -> (Rollout, Vec<Diagnostic>) {
    let Some(text) = set.annotation(OWN) else { return (rollout.clone(), Vec::new()) };
    let name: Arc<str> = format!("annotation {OWN} of SidecarSet {}", set.name).into();
    match Document::read(&name, 0, 1, text) {
        Ok(document) => {
            let (over, wrong) = repository::decode_rollout(&document);
            (over.map_or_else(|| rollout.clone(), |over| rollout.overridden(&over)), wrong)
        }
        Err(error) => (rollout.clone(), vec![error]),
    }
}

pub(super) fn choice(layout: &Layout) -> (Choice, Vec<Diagnostic>) {
    let (skips, wrong) = match layout.skips(None) {
        Ok(skips) => (skips, Vec::new()),
        Err(pattern) => {
            let message = format!("`ignore` holds a pattern that cannot be read: {pattern}");
            let file = layout.root.join("pillion.yaml");
            let label = Label::whole_file(file.to_string_lossy());
            let wrong = Diagnostic::error(Code::InvalidConfiguration, message).at(label).field("ignore");
            (crate::read::Skips::none(), vec![wrong])
        }
    };
    let choice = Choice {
        skips,
        namespaces: layout.namespaces(),
        patches_of: kustomization::patches,
        top: layout.top.clone(),
        typed: Vec::new(),
    };
    (choice, wrong)
}

/// Reads inputs, in parallel, and finds what a render has to know. Some of them are expected to hold SidecarSets.
fn read(
    inputs: Vec<Input>,
    files: &dyn Files,
    of_sets: &BTreeSet<Arc<str>>,
) -> (Vec<(Input, Arc<str>)>, Gathered) {
    let mut gathered = Gathered::default();
    let mut texts: Vec<Arc<str>> = Vec::with_capacity(inputs.len());
    let work = |input: &Input| {
        let text = text(input, files)?;
        Ok((gather(&input.name, &text, input.is_named || of_sets.contains(&input.name)), text))
    };
    in_order(&inputs, work, |result: Result<_, Diagnostic>| match result {
        Ok((found, text)) => {
            gathered.merge(found);
            texts.push(text.into());
        }
        Err(error) => {
            gathered.diagnostics.push(error);
            texts.push("".into());
        }
    });
    (inputs.into_iter().zip(texts).collect(), gathered)
}

fn ledgers(layout: &Layout, from: &Sources<'_>) -> (Gathered, Vec<Diagnostic>) {
    let (files, mut diagnostics) = layout.ledgers(from.ledgers);
    let own = files.into_iter().filter(|l| l.cluster.as_deref() == from.cluster);
    let (gathered, wrong) = gather_ledgers(&own.map(|l| l.input).collect::<Vec<_>>(), from.ledgers);
    diagnostics.extend(wrong);
    (gathered, diagnostics)
}

/// Reads the files of ledgers; each must be named for its SidecarSet.
pub fn gather_ledgers(inputs: &[Input], files: &dyn Files) -> (Gathered, Vec<Diagnostic>) {
    let (mut gathered, mut diagnostics) = (Gathered::default(), Vec::new());
    for input in inputs {
        match text(input, files) {
            Ok(text) => {
                let found = gather(&input.name, &text, true);
                diagnostics.extend(
                    found.ledgers.iter().filter_map(|(document, path)| misplaced(document, path, input)),
                );
                if found.ledgers.is_empty() && found.unreadable.is_empty() {
                    diagnostics.push(no_ledger_in(input));
                }
                gathered.merge(found);
            }
            Err(error) => diagnostics.push(error),
        }
    }
    (gathered, diagnostics)
}

/// Anything else than a ledger in their folder: somebody may think it counts.
fn no_ledger_in(input: &Input) -> Diagnostic {
    Diagnostic::error(Code::LedgerBroken, format!("`{}` holds no ledger", input.name))
        .at(Label::whole_file(Arc::clone(&input.name)))
        .because("a ledger says `apiVersion: pillion.dev/v1alpha1` and `kind: SidecarRollout`")
        .help(format!("take the last good state: `git log -p -- {}` shows them", input.name))
}

/// A ledger of another SidecarSet than its file is named for.
fn misplaced(document: &Document, path: &crate::yaml::Path, input: &Input) -> Option<Diagnostic> {
    let name = path.find(document.value())?["metadata"]["name"].as_str()?;
    let stem = Path::new(&*input.name).file_stem()?.to_string_lossy().into_owned();
    let at = path.join(&crate::yaml::Path::dotted("metadata.name"));
    (stem != name).then(|| {
        Diagnostic::error(
            Code::LedgerMisplaced,
            format!("this is the ledger of SidecarSet `{name}`, not of `{stem}`"),
        )
        .at(document.label(&at, crate::yaml::Part::Value, ""))
        .help(format!("name the file `{name}.yaml`, or take the last good state of this one out of git"))
    })
}

/// The workloads that people hold in a ledger, those of them that are asked for.
pub(super) fn held_by_people(ledger: &Ledger, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<Arc<str>> {
    let held = ledger.lines.iter().filter(|(key, line)| line.is_held_by_person() && is_wanted(key));
    held.map(|(key, _)| Arc::clone(key)).collect()
}

/// Documents that hold workloads, with those.
type Workloads = Vec<(Arc<Document>, Vec<Located>)>;

/// Returns the documents of an input, not yet parsed.
pub(super) fn manifests_of<'i>(input: &'i Input, text: &'i str) -> impl Iterator<Item = Manifest<'i>> {
    split(&input.name, text).0.into_iter().enumerate().map(|(index, piece)| Manifest {
        file: &input.name,
        index,
        first_line: piece.first_line,
        text: &text[piece.span],
        namespace: &input.namespace,
        is_named: input.is_named,
        document: None,
    })
}

/// Finds the workloads of all inputs, and where those of each input begin.
fn find_workloads(
    inputs: &[(Input, Arc<str>)],
    renderer: &Renderer,
) -> (Workloads, Vec<usize>, Vec<Diagnostic>) {
    let (mut workloads, mut first) = (Vec::new(), Vec::with_capacity(inputs.len()));
    let mut diagnostics = Vec::new();
    let work = |(input, text): &(Input, Arc<str>)| {
        manifests_of(input, text).map(|manifest| renderer.workloads(&manifest)).collect::<Vec<_>>()
    };
    in_order(inputs, work, |found| {
        first.push(workloads.len());
        for (found, wrong) in found {
            workloads.extend(found);
            diagnostics.extend(wrong);
        }
    });
    (workloads, first, diagnostics)
}

/// The namespace of the manifests of an input that name none.
fn namespace_of(input: &Input) -> &str {
    if *input.namespace == *UNSPECIFIED { "default" } else { &input.namespace }
}

/// The objects of a file that a rollout is checked against.
fn objects(input: &Input, text: &str) -> Vec<Near> {
    if !may_hold_objects(text) {
        return Vec::new();
    }
    let pieces = split(&input.name, text).0.into_iter().enumerate();
    let documents = pieces
        .filter_map(|(i, piece)| Document::read(&input.name, i, piece.first_line, &text[piece.span]).ok());
    documents.flat_map(|d| objects_of(&Arc::new(d), namespace_of(input))).collect()
}
