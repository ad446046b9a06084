//! Words of random commands: few keys, so that commands meet, and odd arguments now and then.

use fastrand::Rng;

/// A key that most commands of a family find of the right type: the first letter tells the type.
pub(super) fn key(random: &mut Rng, prefix: &str) -> Vec<u8> {
    let prefix = if random.u8(0..20) == 0 {
        ["s", "l", "h", "m", "z", "x"][random.usize(0..6)]
    } else {
        prefix
    };
    format!("{prefix}{}", random.u8(0..4)).into_bytes()
}

/// A short value; now and then a number, an empty or a binary one.
pub(super) fn value(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..10) {
        0..4 => vec![b'a' + random.u8(0..6)],
        4..7 => random.i32(-20..100).to_string().into_bytes(),
        7 => b"3.25".to_vec(),
        8 => Vec::new(),
        _ => vec![0, 255, b'\r', b'\n', random.u8(..)],
    }
}

/// An integer; now and then an extreme one, or none.
pub(super) fn integer(random: &mut Rng) -> Vec<u8> {
    let odd = [
        "9223372036854775807",
        "-9223372036854775808",
        "x",
        "",
        "1.5",
        " 1",
        "+1",
        "010",
    ];
    match random.u8(0..20) {
        0 => odd[random.usize(0..odd.len())].into(),
        _ => random.i32(-6..12).to_string().into_bytes(),
    }
}

/// A number; now and then an odd one, or none.
pub(super) fn float(random: &mut Rng) -> Vec<u8> {
    let odd = ["inf", "-inf", "nan", "1e3", "x", "", "1e400"];
    match random.u8(0..20) {
        0 => odd[random.usize(0..odd.len())].into(),
        1..8 => format!("{:.2}", f64::from(random.i32(-500..500)) / 100.0).into_bytes(),
        _ => random.i32(-6..12).to_string().into_bytes(),
    }
}

/// One of these names.
pub(super) fn pick<'a>(random: &mut Rng, names: &[&'a str]) -> &'a str {
    names[random.usize(0..names.len())]
}

/// One of these words.
pub(super) fn one_of(random: &mut Rng, words: &[&str]) -> Vec<u8> {
    pick(random, words).into()
}

/// A command of these words, with one of them left out or doubled now and then.
pub(super) fn command(random: &mut Rng, name: &str, mut arguments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    if random.u8(0..40) == 0 && !arguments.is_empty() {
        let position = random.usize(0..arguments.len());
        if random.bool() {
            arguments.remove(position);
        } else {
            arguments.insert(position, arguments[position].clone());
        }
    }
    arguments.insert(0, name.into());
    arguments
}
