//! `explain` tells values and their origins, and no secrets.

use crate::{
    config_file::ConfigFile,
    program::{Program, run},
};

#[test]
fn each_setting_is_told_with_its_origin_and_secrets_are_masked() {
    let file = ConfigFile::new("databases:\n  main: {host: db1, db: 3, password: sesame}\n");
    let table = run(&["explain", file.path()]);
    assert_eq!(table.code, Some(0), "{table:#?}");
    assert!(table.stdout.contains(&format!("{}:2:", file.path())));
    assert!(table.stdout.contains("***"));
    table.hides("sesame");

    let json = run(&["--json", "explain", file.path()]);
    json.hides("sesame");
    let document = json.json();
    let settings = document["settings"].as_array().expect("settings");
    let number = settings.iter().find(|row| row["setting"] == "number");
    assert_eq!(number.expect("a number")["value"], "3");
    assert_eq!(document["ok"], true);
}

#[test]
fn variables_overrule_the_file_if_that_is_wanted() {
    let file = ConfigFile::new("databases:\n  main: {host: db1}\n");
    let variables = [("REDIS_STEWARD_MAIN_HOST", "db2")];
    let without = Program::start(&["explain", file.path()], &variables).end();
    assert!(without.stdout.contains("db1:6379"), "{without:#?}");
    let with = Program::start(&["explain", "--env", file.path()], &variables).end();
    assert!(with.stdout.contains("db2:6379"), "{with:#?}");
}

#[test]
fn a_file_that_cannot_be_used_is_explained_and_fails() {
    let file = ConfigFile::new("databases:\n  main: {min_idle: 60}\n");
    let table = run(&["explain", file.path()]);
    assert_eq!(table.code, Some(2), "{table:#?}");
    assert!(table.stdout.contains("min_idle"));
    let position = format!("{}:2:", file.path());
    assert!(table.stderr.contains(&position), "{table:#?}");
    let json = run(&["explain", "--json", file.path()]).json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["problems"][0]["line"], 2);
}
