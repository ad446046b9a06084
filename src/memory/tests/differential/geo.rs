//! Points on the earth. Replies are compared byte by byte: digits of points and distances are the same.

use fastrand::Rng;

use super::{
    COMMANDS, SEQUENCES, compare_lines, compare_sequences,
    words::{command, integer, one_of, pick},
};

/// Sets of points begin with `g`. Those with `z` have scores of no point, too, and points at the edge.
fn any_key(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["g0", "g0", "g1", "g1", "z0", "z1", "s0", "none"])
}

fn key(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["g0", "g1"])
}

fn odd_key(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["z0", "z1"])
}

/// So few that Redis keeps the order of those that are as far away as another.
fn member(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["a", "b", "c", "d", "", "\r\n"])
}

/// A longitude and a latitude: near others, at the date line and the poles, or anywhere.
fn point(random: &mut Rng) -> [Vec<u8>; 2] {
    let mut near = |least: f64, greatest: f64| least + random.f64() * (greatest - least);
    let places = [
        (near(13.0, 14.0), near(38.0, 39.0)),
        (near(-1.0, 1.0), near(-1.0, 1.0)),
        (near(178.0, 180.0), near(-30.0, 10.0)),
        (near(-180.0, -178.0), near(-30.0, 10.0)),
        (near(-180.0, 180.0), near(83.0, 85.05)),
        (near(-60.0, 60.0), near(-85.05, -65.0)),
        (near(-180.0, 180.0), near(-85.0, 85.0)),
    ];
    let (longitude, latitude) = places[random.usize(0..places.len())];
    [longitude, latitude].map(|degrees| degrees.to_string().into_bytes())
}

fn odd_point(random: &mut Rng) -> [Vec<u8>; 2] {
    let mut point = point(random);
    let odd = [
        "180",
        "-180",
        "181",
        "-180.0001",
        "85.05112878",
        "-85.05112878",
        "85.06",
        "-90",
        "0",
        "-0",
        "x",
        "",
        "nan",
        "inf",
        "-inf",
        "1e300",
        "0x10",
        " 1",
    ];
    point[random.usize(0..2)] = one_of(random, &odd);
    point
}

/// Mostly a usual one.
fn some_point(random: &mut Rng) -> [Vec<u8>; 2] {
    match random.u8(0..8) {
        0 => odd_point(random),
        _ => point(random),
    }
}

fn length(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..24) {
        0 => one_of(
            random,
            &["x", "", "-1", "-0", "nan", "inf", "1e300", "1e-300", "0x10"],
        ),
        1 => b"0".to_vec(),
        _ => {
            let magnitude = 10_f64.powi(random.i32(0..8));
            (random.f64() * magnitude).to_string().into_bytes()
        }
    }
}

fn unit(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..30) {
        0 => one_of(random, &["x", "", "KMM"]),
        _ => one_of(random, &["m", "m", "m", "km", "KM", "mi", "ft", "Ft"]),
    }
}

fn geoadd(random: &mut Rng) -> Vec<Vec<u8>> {
    let is_odd = random.u8(0..4) == 0;
    let mut arguments = vec![if is_odd { odd_key(random) } else { key(random) }];
    if random.bool() {
        for _ in 0..random.u8(0..4) {
            arguments.push(one_of(random, &["NX", "XX", "CH", "ch"]));
        }
    }
    for _ in 0..random.u8(1..4) {
        arguments.extend(if is_odd {
            odd_point(random)
        } else {
            point(random)
        });
        arguments.push(member(random));
    }
    command(random, "GEOADD", arguments)
}

fn zadd(random: &mut Rng) -> Vec<Vec<u8>> {
    let score = match random.u8(0..3) {
        0 => one_of(
            random,
            &[
                "inf",
                "-inf",
                "-1",
                "1.5",
                "1e19",
                "4503599627370496",
                "-1e19",
            ],
        ),
        _ => random.u64(0..1 << 52).to_string().into_bytes(),
    };
    vec![b"ZADD".to_vec(), odd_key(random), score, member(random)]
}

fn of_members(random: &mut Rng) -> Vec<Vec<u8>> {
    let name = pick(random, &["GEOPOS", "GEOHASH"]);
    let mut arguments = vec![any_key(random)];
    arguments.extend((0..random.u8(0..4)).map(|_| member(random)));
    command(random, name, arguments)
}

fn geodist(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = vec![any_key(random), member(random), member(random)];
    if random.bool() {
        arguments.push(unit(random));
    }
    command(random, "GEODIST", arguments)
}

fn options(random: &mut Rng, arguments: &mut Vec<Vec<u8>>, most: u8) {
    for _ in 0..random.u8(0..most) {
        match random.u8(0..18) {
            0..5 => {
                let count = match random.u8(0..8) {
                    0 => integer(random),
                    _ => random.u8(1..5).to_string().into_bytes(),
                };
                arguments.extend([b"COUNT".to_vec(), count]);
                if random.bool() {
                    arguments.push("ANY".into());
                }
            }
            5..8 => arguments.push(one_of(random, &["ASC", "DESC", "asc"])),
            8..14 => arguments.push(one_of(random, &["WITHDIST", "WITHHASH", "WITHCOORD"])),
            14..16 => {
                let option = one_of(random, &["STORE", "STOREDIST", "STOREDIST"]);
                arguments.extend([option, target(random)]);
            }
            _ => arguments.push(one_of(
                random,
                &["ANY", "COUNT", "STORE", "STOREDIST", "nonsense"],
            )),
        }
    }
}

/// No set of points, so that those are not lost.
fn target(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["z0", "z1", "s0", "t"])
}

fn georadius(random: &mut Rng) -> Vec<Vec<u8>> {
    let name = pick(
        random,
        &[
            "GEORADIUS",
            "GEORADIUS_RO",
            "GEORADIUSBYMEMBER",
            "GEORADIUSBYMEMBER_RO",
        ],
    );
    let mut arguments = vec![any_key(random)];
    if name.contains("MEMBER") {
        arguments.push(member(random));
    } else {
        arguments.extend(some_point(random));
    }
    arguments.extend([length(random), unit(random)]);
    options(random, &mut arguments, 4);
    command(random, name, arguments)
}

fn geosearch(random: &mut Rng) -> Vec<Vec<u8>> {
    let stores = random.u8(0..3) == 0;
    let mut parts: Vec<Vec<Vec<u8>>> = Vec::new();
    for _ in 0..if random.u8(0..20) == 0 { 2 } else { 1 } {
        parts.push(if random.bool() {
            vec![b"FROMMEMBER".to_vec(), member(random)]
        } else {
            let [longitude, latitude] = some_point(random);
            vec![b"FROMLONLAT".to_vec(), longitude, latitude]
        });
    }
    for _ in 0..if random.u8(0..20) == 0 { 2 } else { 1 } {
        parts.push(if random.bool() {
            vec![b"BYRADIUS".to_vec(), length(random), unit(random)]
        } else {
            let sides = [length(random), length(random)];
            vec![
                b"BYBOX".to_vec(),
                sides[0].clone(),
                sides[1].clone(),
                unit(random),
            ]
        });
    }
    if random.u8(0..30) == 0 {
        parts.pop();
    }
    let mut rest = Vec::new();
    options(random, &mut rest, if stores { 2 } else { 4 });
    parts.push(rest);
    random.shuffle(&mut parts);
    let mut arguments = if stores {
        vec![target(random), any_key(random)]
    } else {
        vec![any_key(random)]
    };
    arguments.extend(parts.into_iter().flatten());
    if stores && random.bool() {
        arguments.push("STOREDIST".into());
    }
    let name = if stores {
        "GEOSEARCHSTORE"
    } else {
        "GEOSEARCH"
    };
    command(random, name, arguments)
}

pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    match random.u8(0..24) {
        0..6 => geoadd(random),
        6 => zadd(random),
        7..9 => of_members(random),
        9..11 => geodist(random),
        11..15 => georadius(random),
        15..22 => geosearch(random),
        22 => vec![b"SET".to_vec(), b"s0".to_vec(), b"x".to_vec()],
        _ => vec![b"DEL".to_vec(), target(random)],
    }
}

/// A search without errors.
fn valid_search(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut words = vec![b"GEOSEARCH".to_vec(), b"g".to_vec(), b"FROMLONLAT".to_vec()];
    words.extend(point(random));
    let mut side = || (random.f64() * 10_f64.powi(random.i32(1..9))).to_string();
    if side().len().is_multiple_of(2) {
        words.extend(["BYRADIUS".into(), side().into(), "m".into()]);
    } else {
        words.extend(["BYBOX".into(), side().into(), side().into(), "m".into()]);
    }
    if random.bool() {
        let count = random.u8(1..30).to_string().into_bytes();
        words.extend([b"COUNT".to_vec(), count]);
        if random.bool() {
            words.push("ANY".into());
        }
    }
    if random.bool() {
        words.push(one_of(random, &["ASC", "DESC"]));
    }
    words.push("WITHDIST".into());
    words
}

#[test]
fn geo() {
    compare_sequences("geo", SEQUENCES, |pair, random| {
        pair.begin(if random.bool() { "2" } else { "3" });
        for _ in 0..COMMANDS {
            pair.check_bytes(&generate(random));
        }
        pair.check_data();
    });
}

/// Many points, so that all cells around the centre of a search hold some.
#[test]
fn searches() {
    compare_sequences("searches", SEQUENCES, |pair, random| {
        pair.begin("2");
        let mut words = vec![b"GEOADD".to_vec(), b"g".to_vec()];
        for member in 0..random.u32(50..400) {
            words.extend(point(random));
            words.push(member.to_string().into_bytes());
        }
        pair.check_bytes(&words);
        for _ in 0..COMMANDS {
            pair.check_bytes(&valid_search(random));
        }
    });
}

#[test]
fn lines_about_points() {
    compare_lines(&[
        "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
        "GEODIST g Palermo Catania KM x",
        "GEOHASH g Palermo Catania none",
        "GEOADD g NX CH 1 2",
        "GEOADD g CH CH CH",
        "GEOADD g NX XX CH",
        "GEOADD g XX 200 1 x",
        "GEOSEARCH g FROMMEMBER none BYRADIUS 1 m",
        "GEOSEARCH none FROMMEMBER none BYRADIUS 1 m",
        "geosearch g ASC ASC ASC ASC ASC",
        "GeoSearch g FROMMEMBER Palermo ASC ASC ASC",
        "GEOSEARCH g FROMMEMBER Palermo FROMMEMBER Catania BYRADIUS 1 m BYRADIUS 2 km",
        "GEOSEARCH g FROMLONLAT 1 2 FROMMEMBER Catania BYRADIUS 1 m",
        "GEOSEARCH g FROMLONLAT 1 2 BYBOX 1 1 m BYRADIUS 1 m",
        "GEORADIUS g 15 37 200 km STORE a STOREDIST b",
        "GEORADIUS g 15 37 200 km WITHDIST STORE a",
        "GEORADIUSBYMEMBER none x nonsense nonsense STORE a",
        "GEORADIUSBYMEMBER_RO g Palermo 200 km STORE a",
        "GEOSEARCHSTORE a g FROMMEMBER Palermo BYBOX 400 400 km WITHDIST",
        "COMMAND GETKEYS GEORADIUS g 15 37 200 km STORE a STOREDIST b",
        "COMMAND GETKEYS GEORADIUS g 15 37 200 km STORE a STOREDIST b STORE c STORE",
        "COMMAND GETKEYS GEOSEARCHSTORE a g FROMMEMBER x BYRADIUS 1 m",
    ]);
}
