//! Goal: no modules import each other in a circle. Method: the sources are parsed, every path that
//! names another module of the crate is resolved (re-exports included), and at each level the
//! siblings must form no cycle. A reference between a module and its own children is its inside.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Item, ItemMod, UseTree, visit::Visit};

type Module = Vec<String>;

/// A module of the crate: its imports, and the names it imports or re-exports from elsewhere.
#[derive(Default)]
struct Source {
    paths: BTreeSet<Vec<String>>,
    reexports: BTreeMap<String, Vec<String>>,
}

#[derive(Default)]
struct Crate {
    modules: BTreeMap<Module, Source>,
}

impl Crate {
    fn read() -> Self {
        let mut found = Self::default();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        found.add_file(Vec::new(), &root.join("lib.rs"), &root);
        found
    }

    /// Adds a module and its children, which stand in `folder`.
    fn add_file(&mut self, module: Module, file: &Path, folder: &Path) {
        let text = fs::read_to_string(file).expect("a source file");
        let syntax = syn::parse_file(&text).expect("a source file that compiles");
        let mut reader = Reader {
            module: module.clone(),
            source: Source::default(),
            children: Vec::new(),
        };
        for item in &syntax.items {
            reader.visit_item(item);
        }
        let Reader {
            source, children, ..
        } = reader;
        self.modules.insert(module.clone(), source);
        for child in children {
            let file = file_of(&child, folder);
            let mut path = module.clone();
            path.push(child.clone());
            self.add_file(path, &file, &folder.join(&child));
        }
    }

    /// The module that a path leads to, and re-exports followed to where the name is defined.
    fn target(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        for (index, segment) in path.iter().enumerate() {
            let mut child = module.clone();
            child.push(segment.clone());
            if self.modules.contains_key(&child) {
                module = child;
                continue;
            }
            return match self.modules[&module].reexports.get(segment) {
                // The rest of the path belongs to what is re-exported.
                Some(origin) => self.target(&[origin, &path[index + 1..]].concat()),
                None => module,
            };
        }
        module
    }

    /// At each level the edges between siblings, each with a reference that makes it.
    fn edges(&self) -> BTreeMap<Module, BTreeMap<(String, String), String>> {
        let mut levels: BTreeMap<Module, BTreeMap<_, _>> = BTreeMap::new();
        for (from, source) in &self.modules {
            for path in &source.paths {
                let to = self.target(path);
                let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if let (Some(one), Some(other)) = (from.get(shared), to.get(shared)) {
                    let example = format!("{} names {}", from.join("::"), path.join("::"));
                    let level = levels.entry(from[..shared].to_vec()).or_default();
                    level.insert((one.clone(), other.clone()), example);
                }
            }
        }
        levels
    }
}

fn file_of(child: &str, folder: &Path) -> PathBuf {
    let file = folder.join(format!("{child}.rs"));
    if file.exists() {
        file
    } else {
        folder.join(child).join("mod.rs")
    }
}

/// Collects the paths of one file that begin at the crate, at this module or at its parent.
struct Reader {
    module: Module,
    source: Source,
    children: Vec<String>,
}

impl Reader {
    /// The path from the crate's root; `None` for a path that leads elsewhere.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let parents = path
                    .iter()
                    .take_while(|segment| *segment == "super")
                    .count();
                let kept = self.module.len().checked_sub(parents)?;
                Some([&self.module[..kept], &path[parents..]].concat())
            }
            child if self.children.iter().any(|known| known == child) => {
                Some([&self.module, path].concat())
            }
            _ => None,
        }
    }

    fn use_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |segment: String| [before, &[segment]].concat();
        match tree {
            UseTree::Path(path) => {
                self.use_tree(&with(path.ident.to_string()), &path.tree);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(before, tree);
                }
            }
            UseTree::Name(name) if name.ident == "self" => self.used(before, None),
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.used(&with(name.clone()), Some(name));
            }
            UseTree::Rename(rename) => {
                let path = with(rename.ident.to_string());
                self.used(&path, Some(rename.rename.to_string()));
            }
            UseTree::Glob(_) => self.used(before, None),
        }
    }

    fn used(&mut self, path: &[String], name: Option<String>) {
        let Some(path) = self.absolute(path) else {
            return;
        };
        // A private name of a parent can be used by its children.
        if let Some(name) = name {
            self.source.reexports.insert(name, path.clone());
        }
        self.source.paths.insert(path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_test_only) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.content.is_none() {
            self.children.push(module.ident.to_string());
        } else {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.used(&segments, None);
        }
        syn::visit::visit_path(self, path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test_only(attribute: &Attribute) -> bool {
    let is_cfg = attribute.path().is_ident("cfg");
    is_cfg
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test"))
}

/// A cycle among the edges, if there is one: the modules on it, in order.
fn cycle(edges: &BTreeMap<(String, String), String>) -> Option<Vec<String>> {
    let mut left: BTreeSet<&(String, String)> = edges.keys().collect();
    loop {
        let sources: BTreeSet<_> = left.iter().map(|(from, _)| from).collect();
        let before = left.len();
        // Edges to a module that imports nothing are on no cycle.
        left.retain(|(_, to)| sources.contains(to));
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            break;
        }
    }
    let next: BTreeMap<_, _> = left.iter().map(|(from, to)| (from, to)).collect();
    let mut path = vec![(*next.keys().next()?).clone()];
    loop {
        let to = next[path.last()?];
        if let Some(start) = path.iter().position(|seen| seen == to) {
            return Some(path.split_off(start));
        }
        path.push(to.clone());
    }
}

#[test]
fn modules_import_each_other_in_no_circle() {
    let edges = Crate::read().edges();
    assert!(edges[&Module::new()].len() > 30, "the graph was read");
    let mut found = Vec::new();
    for (level, edges) in &edges {
        if let Some(cycle) = cycle(edges) {
            let ring = cycle.iter().zip(cycle.iter().cycle().skip(1));
            let because: Vec<_> = ring
                .map(|(from, to)| format!("\n    {}", edges[&(from.clone(), to.clone())]))
                .collect();
            let room = format!("crate::{}", level.join("::"));
            found.push(format!("{room}: {}{}", cycle.join(" → "), because.concat()));
        }
    }
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found() {
    let edge = |from: &str, to: &str| ((from.to_owned(), to.to_owned()), String::new());
    let chain = [edge("a", "b"), edge("b", "c"), edge("a", "c")];
    assert_eq!(cycle(&BTreeMap::from(chain.clone())), None);
    let closed = chain.into_iter().chain([edge("c", "b"), edge("c", "d")]);
    let found = cycle(&closed.collect()).expect("b and c import each other");
    assert_eq!(
        found.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        ["b", "c"].into()
    );
}
