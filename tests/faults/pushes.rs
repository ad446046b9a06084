//! The server sends pushes that this crate has not asked for.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use redis::cmd;
use redis_steward::DatabaseConfig;

use crate::{
    SOON,
    common::{Script, ScriptedServer, resp::bulk, spawn},
    stats,
};

const PUSH: &str = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n";

/// Each command is answered with the rest of a push before its reply, and the beginning of the next one
/// after it.
#[tokio::test]
async fn row_69_a_push_in_two_parts_is_no_reply() {
    for cut in [1, 3, 9, PUSH.len() - 1] {
        let commands = AtomicUsize::new(0);
        let peer = ScriptedServer::start([Script::answering(move |command| {
            let rest = match commands.fetch_add(1, Relaxed) {
                0 => "",
                _ => &PUSH[cut..],
            };
            [rest.as_bytes(), &bulk(&command[1]), &PUSH.as_bytes()[..cut]].concat()
        })]);
        let main = DatabaseConfig::from_url(peer.url());
        let (supervisor, main) = spawn(main).await;
        let mut lease = main.lease().await.expect("a lease");
        for turn in 0..20 {
            let nonce = format!("nonce-{turn}");
            let echo: String = lease
                .query(cmd("ECHO").arg(&nonce))
                .await
                .expect("the lease goes on");
            assert_eq!(echo, nonce);
        }
        drop(lease);
        let pool = stats(&supervisor).pool;
        assert_eq!(pool.lost, 0, "cut after {cut} bytes");
        supervisor.shutdown(SOON).await;
    }
}

/// Another incomplete reply has no request, and would be taken for the reply of the next one.
#[tokio::test]
async fn row_69_a_half_reply_ends_the_connection() {
    let peer = ScriptedServer::start([Script::answering(|command| {
        [&bulk(&command[1])[..], b"*2\r\n+message\r\n"].concat()
    })]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let mut lease = main.lease().await.expect("a lease");
    let echo: String = lease.query(cmd("ECHO").arg("a")).await.expect("an echo");
    assert_eq!(echo, "a");
    let next = lease.query::<String>(cmd("ECHO").arg("b")).await;
    next.expect_err("it would get the rest of the other reply");
    let echoes = peer.count("ECHO");
    assert_eq!(echoes, 1, "the second was not sent");
    supervisor.shutdown(SOON).await;
}
