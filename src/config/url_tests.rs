use secrecy::ExposeSecret;

use super::*;

/// Address, number, user name and password of a good URL, on one line.
fn read(url: &str) -> String {
    let location = Location::parse(url).unwrap_or_else(|problems| panic!("{url}: {problems:?}"));
    let password = location
        .password
        .as_ref()
        .map(|password| password.expose_secret());
    format!(
        "{} {:?} {:?} {password:?}",
        location.address,
        location.number,
        location.username.map(|user| user.0)
    )
}

/// The only problem of a bad URL.
fn problem(url: &str) -> String {
    let problems = Location::parse(url)
        .err()
        .unwrap_or_else(|| panic!("{url} was accepted"));
    assert_eq!(problems.len(), 1, "{url}: {problems:?}");
    problems[0].clone()
}

#[test]
fn tcp_urls() {
    for (url, expected) in [
        ("redis://localhost", "localhost:6379 None None None"),
        ("REDIS://h:1/", "h:1 None None None"),
        (
            " valkey://10.0.0.1:7000/3 ",
            "10.0.0.1:7000 Some(3) None None",
        ),
        ("redis://[::1]:6380/0", "[::1]:6380 Some(0) None None"),
        ("redis://:pw@h", "h:6379 None None Some(\"pw\")"),
        (
            "redis://u:p%40%2f%3A%25@h",
            "h:6379 None Some(\"u\") Some(\"p@/:%\")",
        ),
        ("redis://u:p@w@h", "h:6379 None Some(\"u\") Some(\"p@w\")"),
        (
            "redis://u:50%off+1@h",
            "h:6379 None Some(\"u\") Some(\"50%off+1\")",
        ),
        ("redis://:gr%C3%BCn@h", "h:6379 None None Some(\"grün\")"),
        ("redis://u@h", "h:6379 None Some(\"u\") None"),
        ("redis://:@h", "h:6379 None None None"),
        ("redis://h/?protocol=resp3", "h:6379 None None None"),
        ("redis://h/-1", "h:6379 Some(-1) None None"),
    ] {
        assert_eq!(read(url), expected, "{url}");
    }
}

#[cfg(unix)]
#[test]
fn unix_urls() {
    for (url, expected) in [
        (
            "unix:///run/redis.sock",
            "unix:/run/redis.sock None None None",
        ),
        (
            "unix:/run/redis.sock",
            "unix:/run/redis.sock None None None",
        ),
        ("redis+unix:///a%20b?db=2", "unix:/a b Some(2) None None"),
        (
            "valkey+unix:///s?user=u&pass=p%26+w&db=1",
            "unix:/s Some(1) Some(\"u\") Some(\"p& w\")",
        ),
        ("unix:///s?pass=", "unix:/s None None None"),
    ] {
        assert_eq!(read(url), expected, "{url}");
    }
}

#[test]
fn memory_urls() {
    for (url, expected) in [
        ("memory://", "memory:// None None None"),
        ("memory:///3", "memory:// Some(3) None None"),
        ("memory://cache", "memory://cache None None None"),
        (
            "memory://u:p%40@cache/2?protocol=3",
            "memory://cache Some(2) Some(\"u\") Some(\"p@\")",
        ),
    ] {
        assert_eq!(read(url), expected, "{url}");
    }
}

#[test]
fn sentinel_urls() {
    for (url, expected) in [
        (
            "redis+sentinel://h/main",
            "redis+sentinel://h:26379/main None None None",
        ),
        (
            "valkey+sentinel://u:p%40,w@a:1,[::1],10.0.0.1:7,a:1/my-1.main_/3?protocol=3",
            "redis+sentinel://a:1,[::1]:26379,10.0.0.1:7/my-1.main_ Some(3) Some(\"u\") Some(\"p@,w\")",
        ),
        (
            "redis-sentinel://:w@h/main/0/",
            "redis+sentinel://h:26379/main Some(0) None Some(\"w\")",
        ),
    ] {
        assert_eq!(read(url), expected, "{url}");
    }
}

#[test]
fn cluster_urls() {
    for (url, expected) in [
        ("redis+cluster://h", "redis+cluster://h:6379"),
        (
            "valkey+cluster://u:p%40@a:1,[::1],a:1/3",
            "redis+cluster://a:1,[::1]:6379/3",
        ),
        ("rediss-cluster://:w@h/0/", "rediss+cluster://h:6379/0"),
        ("memory+cluster://", "memory+cluster://"),
        ("memory+cluster://:w@c/0", "memory+cluster://c/0"),
    ] {
        let location = Location::parse(url);
        let location = location.unwrap_or_else(|problems| panic!("{url}: {problems:?}"));
        assert!(location.address.is_cluster(), "{url}");
        assert_eq!(location.shown(), expected, "{url}");
    }
}

#[test]
fn a_sentinel_url_for_tls_is_shown_as_one() {
    let location = Location::parse("rediss+sentinel://u:w@a,b:1/main/2");
    let location = location.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(location.tls.is_some());
    assert_eq!(location.shown(), "rediss+sentinel://a:26379,b:1/main/2");
}

#[test]
fn a_name_stands_for_one_server_and_no_name_for_a_new_one() {
    let address = |url| {
        Location::parse(url)
            .map(|location| location.address)
            .expect("a good URL")
    };
    let named = address("memory://of-this-test");
    assert_eq!(named, address("memory://of-this-test/3"));
    assert_ne!(named, address("memory://another"));
    assert_ne!(address("memory://"), address("memory://"));
    let cluster = address("memory+cluster://of-this-test");
    assert_eq!(cluster, address("memory+cluster://of-this-test/0"));
    assert_ne!(cluster, named);
    assert_ne!(address("memory+cluster://"), address("memory+cluster://"));
}

#[test]
fn bad_urls_name_the_correction() {
    for (url, expected) in [
        ("", "known scheme"),
        ("localhost:6379", "known scheme"),
        ("http://h", "known scheme"),
        ("memory://a%20b", "other characters than letters"),
        ("memory://name:1", "has a port"),
        ("memory+cluster://a,b", "other characters than letters"),
        ("memory://name/x", "other than a database number"),
        ("redis+sentinel://h", "names no service"),
        ("redis+sentinel://h/a%20b", "names no service"),
        ("redis+sentinel:///s", "names no host"),
        ("redis+sentinel://h,/s", "names no host"),
        ("redis+sentinel://h:port/s", "no host and port"),
        ("redis+sentinel://h:0/s", "port 0"),
        (
            "redis+sentinel://h/s/x",
            "database number after the service",
        ),
        ("redis+sentinel://:a/b@h/s", "holds an @ after its host"),
        (
            "redis+cluster://h:port",
            "has a node that is no host and port",
        ),
        ("redis+cluster://h,", "names no host"),
        ("redis+cluster://h/main", "database number after the nodes"),
        ("redis+cluster://:a/b@h", "holds an @ after its host"),
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis:h:1", "names no host"),
        ("redis://h:port", "invalid port"),
        ("redis://h:65536", "invalid port"),
        ("redis://h:0", "port 0"),
        ("redis://::1", "an IPv6 host in brackets"),
        ("redis://[::1", "IPv6"),
        ("redis://b%C3%BCcher", "ASCII form"),
        ("redis://h/main", "database number after the host"),
        ("redis://h/1/2", "database number after the host"),
        (
            "redis://h/99999999999999999999",
            "database number after the host",
        ),
        ("redis://h#0", "part after #"),
        ("redis://:a/b@h", "@ after its host"),
        ("redis://:1/b@h", "@ after its host"),
        ("redis://u:1?b@h", "@ after its host"),
        ("redis://u:a\tb@h", "control character"),
        ("redis://u:%FF@h", "password that is not UTF-8"),
        ("redis://%FF:p@h", "user name that is not UTF-8"),
        ("redis://h?protocol=4", "other than 2, 3, resp2 or resp3"),
        ("redis://h?protocol", "other than 2, 3, resp2 or resp3"),
        (
            "redis://h?without_hello=no",
            "`without_hello`, which takes none",
        ),
        ("redis://h?timeout=5", "unknown query parameter \"timeout\""),
        ("redis://h?db=5", "unknown query parameter \"db\""),
    ] {
        assert!(problem(url).contains(expected), "{url}: {}", problem(url));
    }
}

#[cfg(unix)]
#[test]
fn bad_unix_urls_name_the_correction() {
    let long = format!("unix:///{}", "x".repeat(200));
    for (url, expected) in [
        ("unix:relative.sock", "socket file"),
        ("unix:///", "socket file"),
        ("unix://host/s", "socket file"),
        ("unix:///a%00b", "socket file"),
        (long.as_str(), "socket file"),
        ("unix:///s?db=x", "database number given as `db`"),
        ("unix:///s?pass=%FF", "not UTF-8"),
        (
            "unix:///s?password=p",
            "unknown query parameter \"password\"",
        ),
    ] {
        assert!(problem(url).contains(expected), "{url}: {}", problem(url));
    }
}

#[test]
fn all_problems_of_a_url_are_reported() {
    let problems = Location::parse("redis://h:0/x?a=1&a=2#f")
        .map(drop)
        .unwrap_err();
    // Port, number, fragment, repetition, and `a` unknown, twice.
    assert_eq!(problems.len(), 6, "{problems:?}");
}

#[test]
fn a_piece_of_a_password_is_not_taken_for_the_name_of_an_option() {
    for url in ["unix:///s?pass=my&canary", "redis://h?canary7=1"] {
        assert!(!problem(url).contains("canary"), "{url}");
    }
}

#[test]
fn the_shown_location_has_no_user() {
    for (url, expected) in [
        ("valkey://u:p@h/3?protocol=3", "redis://h:6379/3"),
        ("redis://[::1]", "redis://[::1]:6379"),
    ] {
        assert_eq!(
            Location::parse(url).map(|location| location.shown()),
            Ok(expected.into())
        );
    }
}

#[test]
fn the_protocol_is_spelled_as_in_urls_of_the_redis_crate() {
    let read = |url: &str| Location::parse(url).map(|location| location.protocol);
    for (url, expected) in [
        ("redis://h", None),
        ("redis://h?protocol=2", Some(Protocol::Resp2)),
        ("redis://h/3?protocol=resp2", Some(Protocol::Resp2)),
        ("valkey://h/?protocol=3", Some(Protocol::Resp3)),
        ("unix:///s?db=1&protocol=resp3", Some(Protocol::Resp3)),
    ] {
        assert_eq!(read(url), Ok(expected), "{url}");
    }
}

#[test]
fn commands_of_the_greeting_can_be_left_out() {
    let read = |url: &str| Location::parse(url).map(|location| location.without);
    let without = |hello, client_name, select| Without {
        hello,
        client_name,
        select,
    };
    for (url, expected) in [
        ("redis://h", without(false, false, false)),
        ("redis://h?without_hello", without(true, false, false)),
        (
            "redis://h?without_client_name=",
            without(false, true, false),
        ),
        ("unix:///s?without_select&db=1", without(false, false, true)),
        (
            "redis://h?without_hello&without_select",
            without(true, false, true),
        ),
    ] {
        assert_eq!(read(url), Ok(expected), "{url}");
    }
}
