//! Files themselves: where they are, and who may read their secrets.

use super::*;
#[cfg(unix)]
use crate::credentials::CredentialsSource;

/// A folder with files of these names, texts and modes.
#[cfg(unix)]
fn folder(files: &[(&str, &str, u32)]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text, mode) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("a mode");
    }
    folder
}

#[cfg(unix)]
#[test]
fn secrets_that_all_users_may_read_are_refused_unless_allowed() {
    let inline = "password: canary\n";
    let url = "url: redis://:canary@h\n";
    let by_file = "password_file: secret\n";
    let by_variable = "password: ${SECRET}\n";
    let allowed = "allow_readable_secrets: true\n";
    let variables = [("SECRET", "canary")];
    for (text, mode, secret_mode, variables, expected) in [
        (
            inline,
            0o644,
            0o600,
            &variables[..],
            Some("password: is a secret in "),
        ),
        (url, 0o644, 0o600, &variables, Some("url: is a secret in ")),
        (
            by_file,
            0o644,
            0o644,
            &variables,
            Some("password_file: is a secret in "),
        ),
        (inline, 0o640, 0o600, &variables, None),
        (by_file, 0o644, 0o600, &variables, None),
        (by_variable, 0o644, 0o600, &variables, None),
        (
            &format!("{allowed}{inline}"),
            0o644,
            0o600,
            &variables,
            None,
        ),
        (
            inline,
            0o644,
            0o600,
            &[(ALLOW_READABLE_SECRETS, "true")],
            None,
        ),
    ] {
        let folder = folder(&[
            ("redis.yaml", text, mode),
            ("secret", "canary\n", secret_mode),
        ]);
        let environment = Environment::from_iter(variables.iter().copied());
        let read = finish(read_file(&folder.path().join("redis.yaml"), &environment));
        match (read, expected) {
            (Ok(config), None) => {
                let settings = resolve(config).expect("valid");
                let database = &settings.databases[0];
                let secret = folder.path().join("secret");
                let of_file = database.credentials == Some(CredentialsSource::file(secret));
                let of_text = database.password.as_ref();
                let of_text = of_text.is_some_and(|text| text.expose_secret() == "canary");
                assert!(of_file || of_text, "{database:?}");
            }
            (Err(error), Some(expected)) => {
                let error = error.to_string();
                assert!(
                    error.contains(expected) && error.contains("(mode 0644); run chmod o-r"),
                    "{error}"
                );
                assert!(!error.contains("canary"), "{error}");
            }
            (Ok(_), Some(expected)) => panic!("{text}: no error, not {expected}"),
            (Err(error), None) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn secrets_beside_variables_are_secrets_too() {
    for (text, expected) in [
        ("password: a$${b", true),
        ("password: ${P:-canary}", true),
        ("url: redis://:canary@${HOST}/0", true),
        ("url: redis://:${P}@${HOST}/0", false),
        ("url: unix:///run/redis.sock?pass=canary", true),
        ("url: redis://h", false),
    ] {
        let context = Context {
            environment: &Environment::from_iter([("P", "p"), ("HOST", "h")]),
            has_variables: true,
            file: Some(Path::new("/dev/null")),
            allows_readable_secrets: false,
        };
        let root = yaml::parse(text, &"(text)".into(), &mut Vec::new()).expect("a tree");
        let (_, problems) = reader::read(root, &context);
        let is_secret = problems
            .iter()
            .any(|problem| problem.message().starts_with("is a secret in"));
        assert_eq!(is_secret, expected, "{text}: {problems:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_searched_for_in_the_stated_order() {
    let text = "host: h";
    let files = [
        ("explicit.yaml", text, 0o600),
        ("app/config/redis-databases.yaml", text, 0o600),
        ("config/redis-databases.yaml", text, 0o600),
    ];
    let folder = folder(&files);
    let root = folder.path();
    let found = |variables: &[(&str, &str)]| {
        let environment = Environment::from_iter(variables.iter().copied());
        let found = search::find(&environment, root, root);
        found.map(|path| {
            path.strip_prefix(root)
                .expect("in the folder")
                .display()
                .to_string()
        })
    };
    let host = || Some("config/redis-databases.yaml".to_owned());
    assert_eq!(found(&[]), host());
    let kubernetes = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(
        found(&[kubernetes]),
        Some("app/config/redis-databases.yaml".into())
    );
    assert_eq!(
        found(&[kubernetes, (CONFIG_FILE, "explicit.yaml")]),
        Some("explicit.yaml".into())
    );
    assert_eq!(
        found(&[(CONFIG_FILE, "missing.yaml")]),
        Some("missing.yaml".into())
    );
    fs::write(root.join(".dockerenv"), "").expect("a file");
    assert_eq!(found(&[]), Some("app/config/redis-databases.yaml".into()));
    fs::remove_file(root.join("app/config/redis-databases.yaml")).expect("removed");
    assert_eq!(found(&[]), host());
    fs::remove_file(root.join("config/redis-databases.yaml")).expect("removed");
    assert_eq!(found(&[]), None);
}

#[test]
fn a_missing_file_is_an_error_and_no_file_is_the_environment() {
    let environment = Environment::from_iter([("REDIS_HOST", "h")]);
    let error = finish(read_all(Some(Path::new("/none.yaml")), &environment)).expect_err("missing");
    assert!(
        error.to_string().contains("/none.yaml cannot be read"),
        "{error}"
    );
    let config = finish(read_all(None, &environment)).expect("the environment");
    assert_eq!(
        resolve(config).expect("valid").databases[0]
            .address
            .to_string(),
        "h:6379"
    );
}

#[test]
fn files_of_credentials_start_at_the_folder_of_the_file() {
    let folder = folder(&[
        ("redis.yaml", "credentials: \"file: secret\"\n", 0o600),
        ("secret", "canary\n", 0o600),
    ]);
    let path = folder.path().join("redis.yaml");
    let no_variables = Environment::from_iter([("UNUSED", "")]);
    let config = finish(read_file(&path, &no_variables)).expect("valid");
    let settings = resolve(config).expect("valid");
    let secret = CredentialsSource::file(folder.path().join("secret"));
    assert_eq!(settings.databases[0].credentials, Some(secret));
}
