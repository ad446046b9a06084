//! Goal: the table of rooms in ARCHITECTURE.md is complete, and has no dead entries. Method: its first column is held
//! against the modules of `src`.

use std::{collections::BTreeSet, fs, path::Path};

/// Packages of their own, which are rooms beside those of `src`.
const PACKAGES: [&str; 1] = ["cli"];

fn modules() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = fs::read_dir(source).expect("the sources");
    let names = entries.map(|entry| entry.expect("an entry").path());
    let stems = names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    // It is the table of contents itself.
    stems.filter(|stem| stem != "lib").collect()
}

/// The names in the first column, such as `log.rs` and `call/`.
fn named(architecture: &str) -> BTreeSet<String> {
    let (_, rooms) = architecture.split_once("\n## Rooms\n").expect("the rooms");
    let rooms = rooms.split("\n## ").next().expect("a part");
    let rows = rooms.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split(" |").next());
    let names = cells.flat_map(|cell| cell.split(", "));
    let names = names.map(|name| name.trim_matches('`'));
    let stems = names.map(|name| name.trim_end_matches(".rs").trim_end_matches('/'));
    stems.map(str::to_owned).collect()
}

#[test]
fn each_module_has_a_row_and_each_row_a_module() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let architecture = fs::read_to_string(path).expect("ARCHITECTURE.md");
    let mut expected = modules();
    expected.extend(PACKAGES.map(str::to_owned));
    assert_eq!(named(&architecture), expected, "the rows, and the modules");
}
