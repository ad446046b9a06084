use fastrand::Rng;

use super::{
    compare,
    words::{command, key, pick, value},
};

/// GET and STRLEN are left out: the embedded server has no sparse form.
pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let key = |random: &mut Rng| key(random, "p");
    match random.u8(0..10) {
        0 => {
            let arguments = vec![key(random), value(random)];
            let name = pick(random, &["SET", "SETNX"]);
            command(random, name, arguments)
        }
        1..6 => {
            let count = [0, 1, 2, 20, 3000][random.usize(0..5)];
            let mut arguments = vec![key(random)];
            for _ in 0..count {
                arguments.push(random.u32(0..50_000).to_string().into_bytes());
            }
            command(random, "PFADD", arguments)
        }
        6 | 7 => {
            let count = random.usize(1..4);
            let arguments = (0..count).map(|_| key(random)).collect();
            command(random, "PFMERGE", arguments)
        }
        _ => {
            let count = random.usize(1..4);
            let arguments = (0..count).map(|_| key(random)).collect();
            command(random, "PFCOUNT", arguments)
        }
    }
}

#[test]
fn hyperloglog() {
    compare("hyperloglog", generate);
}
