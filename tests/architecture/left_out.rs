//! Goal: the list of the tests that are left out on the embedded server has no dead entries, and is complete. Method:
//! it is held against the sources of the tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[path = "../common/embedded.rs"]
mod embedded;

use self::embedded::LEFT_OUT;

/// What a test that is left out asks first.
const QUESTION: &str = "if left_out_on_embedded() {";

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The functions of a file that ask the question as the first thing they do.
fn asking(source: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let names = lines.windows(2).filter(|pair| pair[1] == QUESTION);
    let names: Vec<&str> = names
        .filter_map(|pair| pair[0].split_once("fn ")?.1.split('(').next())
        .collect();
    names.into_iter()
}

#[test]
fn the_tests_that_are_left_out_are_those_of_the_list() {
    let listed = LEFT_OUT.iter().flat_map(|(_, tests)| tests.iter());
    let listed: Vec<String> = listed.map(|test| (*test).to_owned()).collect();
    let once: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "a test is listed twice");

    let mut found = BTreeSet::new();
    for folder in fs::read_dir(tests()).expect("the tests") {
        let folder = folder.expect("an entry").path();
        let name = folder
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        for file in fs::read_dir(&folder).into_iter().flatten() {
            let file = file.expect("an entry").path();
            let source = fs::read_to_string(&file).unwrap_or_default();
            let stem = file
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let tests = asking(&source).map(|test| format!("{name}/{stem}::{test}"));
            found.extend(tests);
        }
    }
    assert_eq!(once, found, "the list, and the tests that ask");
}

/// Tests are found in the list by their names alone.
#[test]
fn the_tests_that_are_left_out_have_names_of_their_own() {
    let listed = LEFT_OUT.iter().flat_map(|(_, tests)| tests.iter());
    let names: Vec<_> = listed.filter_map(|test| test.rsplit_once("::")).collect();
    let once: BTreeSet<_> = names.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), once.len());
}
