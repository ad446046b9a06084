//! Goal: `docs/faults.md` names the tests that there are. Method: the tests read the document and the
//! sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const FAULTS: &str = "docs/faults.md";

/// The text of a file of the crate.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the tests in a source text.
fn tests_of(source: &str) -> BTreeSet<&str> {
    let attributes = ["#[test]", "#[tokio::test"];
    let is_attribute = |line: &&str| attributes.iter().any(|start| line.starts_with(start));
    let lines = source.lines().map(str::trim_start);
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in lines {
        if is_attribute(&line) {
            is_test = true;
        } else if let Some((_, signature)) = line.split_once("fn ").filter(|_| is_test) {
            names.extend(signature.split('(').next());
            is_test = false;
        }
    }
    names
}

/// The tests that the fault matrix names, as file and name.
fn cited_tests(text: &str) -> Vec<(String, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let tests = quoted.filter_map(|quoted| quoted.split_once(".rs::"));
    let in_folder = |file: &str| {
        if file.starts_with("src/") {
            format!("{file}.rs")
        } else {
            format!("tests/{file}.rs")
        }
    };
    tests.map(|(file, name)| (in_folder(file), name)).collect()
}

#[test]
fn the_fault_matrix_names_existing_tests() {
    let text = read(FAULTS);
    let cited = cited_tests(&text);
    assert!(cited.len() > 80, "only {} tests are found", cited.len());
    for (file, name) in cited {
        let is_there = tests_of(&read(&file)).contains(name);
        assert!(is_there, "{FAULTS} names {file}::{name}, which is no test");
    }
}

#[test]
fn the_fault_matrix_has_every_row_and_names_every_test_of_a_row() {
    let text = read(FAULTS);
    let rows = text.split("## 2.").next().expect("the matrix");
    let numbers = rows.lines().filter_map(|line| {
        let first = line.strip_prefix("| ")?.split(" |").next()?;
        first.parse::<u32>().ok()
    });
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    assert!(numbers.len() > 50, "only {} rows are found", numbers.len());
    let is_other = |pair: &[u32]| pair[0] != pair[1];
    assert!(numbers.windows(2).all(is_other), "a row stands there twice");

    let cited: BTreeSet<_> = cited_tests(&text).into_iter().collect();
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        collect_paths(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut files,
        );
    }
    for path in files {
        let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR"));
        let file = inside
            .expect("a source file")
            .to_string_lossy()
            .into_owned();
        for name in tests_of(&read(&file)) {
            let is_cited = cited.contains(&(file.clone(), name));
            assert!(
                is_cited || !name.starts_with("row_"),
                "{FAULTS} does not name {file}::{name}"
            );
        }
    }
}

/// The source files of a folder.
fn collect_paths(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_paths(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
