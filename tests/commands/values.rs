//! Goal: keys and values may be of any content and size. Method: a real server; values are written and
//! read back.

use std::time::Duration;

use redis::AsyncCommands;

use crate::common::Rig;

/// For a test that moves much data in a debug build.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn keys_and_values_may_hold_any_bytes() {
    let rig = Rig::start().await;
    let mut main = rig.main.clone();
    let every_byte: Vec<u8> = (0..=255).collect();
    let nasty: [&[u8]; 7] = [
        b"",
        b"\0",
        b"\r\n",
        b"x\r\nFLUSHALL\r\n",
        b"$-1\r\n",
        b"*1\r\n$8\r\nFLUSHALL\r\n",
        &every_byte,
    ];
    for (key, value) in nasty
        .iter()
        .flat_map(|key| nasty.map(|value| (*key, value)))
    {
        main.set::<_, _, ()>(key, value)
            .await
            .expect("a key is set");
        let read: Option<Vec<u8>> = main.get(key).await.expect("a value");
        assert_eq!(read.as_deref(), Some(value), "{key:?}");
    }
    assert_eq!(rig.server.cli(&["DBSIZE"]), nasty.len().to_string());
    rig.end().await;
}

#[tokio::test]
async fn a_value_of_64_megabytes_comes_back_unchanged() {
    let rig = Rig::start().await;
    let mut main = rig.main.with_timeout(LONG);
    let value: Vec<u8> = (0..64 << 20)
        .map(|at: u32| (at ^ at >> 8 ^ at >> 16) as u8)
        .collect();
    main.set::<_, _, ()>("big", &value)
        .await
        .expect("it is set");
    let read: Vec<u8> = main.get("big").await.expect("it is read");
    assert!(
        read == value,
        "another value of {} bytes came back",
        read.len()
    );
    rig.end().await;
}
