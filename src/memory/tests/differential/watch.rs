//! Which commands count as a change of a key: one client watches all words of a random command of another one.

use super::{
    COMMANDS, FAMILIES, compare_sequences,
    pair::{Pair, is_same},
};

/// In Redis PFCOUNT counts as a change whenever it remembers the estimate, which is not kept here.
const EXCEPT: [&[u8]; 1] = [b"PFCOUNT"];

#[test]
fn changes() {
    compare_sequences("watch", 40, |pair, random| {
        pair.begin("2");
        let family = FAMILIES[random.usize(0..FAMILIES.len())];
        for _ in 0..COMMANDS {
            let words = family(random);
            let changes_session = words[0].eq_ignore_ascii_case(b"SELECT");
            if words.len() > 1 && !EXCEPT.contains(&&words[0][..]) && !changes_session {
                check(pair, &words);
            }
        }
    });
}

#[test]
fn lines_about_changes() {
    compare_sequences("watch lines", 1, |pair, _| {
        pair.begin("2");
        for line in [
            "SET s 1",
            "BITFIELD b OVERFLOW FAIL SET u1 9 2",
            "BITFIELD b OVERFLOW FAIL SET u1 99 2 SET u1 0 0",
            "BITFIELD b OVERFLOW FAIL SET u1 999 2 GET u8 0",
            "BITFIELD b OVERFLOW FAIL SET u1 9 1",
            "SETBIT b 9 1",
            "SETBIT b 9999 0",
            "GETEX s",
            "GETEX s EX 100",
            "GETEX s PERSIST",
            "GETEX s PERSIST",
            "GETEX s PXAT 1",
            "XADD x 1-1 f v",
            "XGROUP CREATE x g 0",
            "XGROUP CREATE y g $ MKSTREAM",
            "XGROUP CREATECONSUMER x g c",
            "XGROUP SETID x g 0",
            "XREADGROUP GROUP g c STREAMS x >",
            "XACK x g 1-1",
            "XGROUP DELCONSUMER x g c",
            "XGROUP DESTROY x g",
            "XSETID x 5-1",
            "SORT none STORE x",
            "SORT none STORE x",
            "COPY s t",
            "RENAME s s",
        ] {
            let words: Vec<_> = line.split(' ').map(|word| word.into()).collect();
            check(pair, &words);
        }
    });
}

/// Runs a command within a client's watch of all its words, and compares whether that was disturbed.
fn check(pair: &mut Pair, words: &[Vec<u8>]) {
    let mut watch = vec![b"WATCH".to_vec()];
    watch.extend_from_slice(&words[1..]);
    pair.check(&watch);
    // A command of the client itself counts as well.
    pair.ask(words);
    pair.check(&[b"MULTI".to_vec()]);
    let (real, embedded) = pair.ask(&[b"EXEC".to_vec()]);
    assert!(
        is_same("exec", &real, &embedded),
        "the watch of the real server ends with {real:?}, of the embedded one with {embedded:?}\n{}",
        pair.history()
    );
}
