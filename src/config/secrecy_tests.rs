//! No secret is ever shown, and no text makes the configuration panic.
//!
//! Method: a canary is put, in every disguise, where passwords go (or where people put them by
//! mistake), and then looked for in everything that can be printed.

use proptest::prelude::*;

use super::{Config, DatabaseConfig, resolve};

const CANARY: &str = "kanarie7";

/// Everything printable that a configuration leads to.
fn printed(config: &Config) -> String {
    match resolve(config.clone()) {
        Ok(settings) => format!("{config:?} {config:#?} {settings:?}"),
        Err(error) => format!("{config:?} {config:#?} {error} {error:?}"),
    }
}

/// The canary as it is, and with every byte percent-encoded in either case.
fn canary() -> impl Strategy<Value = String> {
    let encode = |format: fn(u8) -> String| CANARY.bytes().map(format).collect::<String>();
    prop_oneof![
        Just(CANARY.to_owned()),
        Just(encode(|byte| format!("%{byte:02X}"))),
        Just(encode(|byte| format!("%{byte:02x}"))),
    ]
}

/// A password with a canary in the middle and anything around it.
fn password() -> impl Strategy<Value = String> {
    ("[ -~é]{0,6}", canary(), "[ -~é]{0,6}")
        .prop_map(|(before, canary, after)| before + &canary + &after)
}

fn assert_silent(text: &str) {
    let text = text.to_ascii_lowercase();
    assert!(!text.contains(CANARY), "{text}");
    let encoded: String = CANARY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert!(!text.contains(&encoded), "{text}");
}

proptest! {
    #[test]
    fn passwords_are_never_shown(
        password in password(),
        scheme in "redis|valkey|rediss|memory|redis[+]sentinel|rediss[+]sentinel|x",
        rest in "(/[0-9x]{0,3})?([?][a-z]{1,3}(=[a-z0-9]{0,3})?)?(#[a-z]{0,2})?",
    ) {
        for url in [
            format!("{scheme}://:{password}@host{rest}"),
            format!("{scheme}://user:{password}@host:1{rest}"),
            format!("{scheme}://user:{password}@[::1]{rest}"),
            format!("{scheme}://user:{password}@a,b:1/main{rest}"),
            format!("unix:///run/redis.sock?db=1&user=u&pass={password}"),
            format!("unix:///run/redis.sock?pass={password}&db=x"),
        ] {
            assert_silent(&printed(&Config::single(url)));
        }
        let database = DatabaseConfig::new().username(&*password).password(&*password);
        let database = database.sentinel_username(&*password).sentinel_password(&*password);
        let database = database.max_parked(0);
        assert_silent(&printed(&Config::new().database("main", database)));
    }

    #[test]
    fn arbitrary_text_never_panics(url in ".*", name in ".*", text in ".*") {
        let database = DatabaseConfig::from_url(url).client_name(&*text).username(text);
        printed(&Config::new().database(name, database));
    }

    #[test]
    fn almost_urls_never_panic(
        url in "(redis|valkey|unix|redis[+]unix|redis[+]sentinel):/{0,3}[-a-z0-9:@/?#&=%.,\\[\\]+ é]{0,24}",
    ) {
        printed(&Config::single(url));
    }
}
