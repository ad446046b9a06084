//! Goal: the crate reads the timeout of a blocking command as the server does. Method: each command is
//! sent to a real server, whose answer is timed, and given to the rules.

use std::time::{Duration, Instant};

use redis::Cmd;
use redis_steward::internals::longest_block;

use crate::common::{RedisServer, older_than, resp::Reply};

/// The server blocks exactly where the policy says so, and otherwise answers at once.
#[test]
fn a_real_server_blocks_by_the_same_rules() {
    let server = RedisServer::start();
    server.cli(&["XADD", "s", "1-1", "f", "v"]);
    for (command, waits) in [
        ("BLPOP k 0.3", true),
        ("BLPOP k 3e-1", true),
        ("BLPOP k +.3", true),
        ("BLMPOP 0.3 1 k LEFT", true),
        ("BZMPOP .3 1 k MIN", true),
        ("WAIT 1 300", true),
        ("XREAD BLOCK 300 STREAMS s $", true),
        ("XREAD BLOCK 0 BLOCK 300 STREAMS s $", true),
        ("XREAD BLOCK 1 BLOCK 300 COUNT 1 STREAMS s $", true),
        ("XREAD STREAMS BLOCK 0", false),
        ("BLPOP k inf", false),
        ("BLPOP k nan", false),
        ("BLPOP k -1", false),
        ("BLPOP k 1e300", false),
        ("BLPOP k 1s", false),
        ("WAIT 1 0.3", false),
        ("WAIT 1 -1", false),
        ("XREAD BLOCK 0.3 STREAMS s $", false),
    ] {
        let of_7_0 = command.starts_with("BLMPOP") || command.starts_with("BZMPOP");
        if of_7_0 && older_than(7, 0, command) {
            continue;
        }
        let started = Instant::now();
        let words: Vec<_> = command.split(' ').collect();
        let reply = server.command(&words);
        let mut sent = Cmd::new();
        for word in &words {
            sent.arg(word);
        }
        let block = longest_block(&sent);
        let expected = block == Some(Duration::from_millis(300));
        assert_eq!(expected, waits, "{command}: {block:?}");
        assert_eq!(
            started.elapsed() >= Duration::from_millis(290),
            waits,
            "{command}: {reply:?}"
        );
        assert!(waits || !matches!(reply, Reply::Int(_)), "{command}");
    }
}
