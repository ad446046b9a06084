//! The numbers of `math.random`: those of Redis, which go on from script to script.

use mlua::{Lua, MultiValue, Value};

use super::raised::Raised;

/// The generator of `lrand48`.
pub(super) struct Random(u64);

impl Default for Random {
    /// As without a seed.
    fn default() -> Self {
        Self(0x1234_abcd_330e)
    }
}

impl Random {
    fn new(seed: i32) -> Self {
        Self(u64::from(seed as u32) << 16 | 0x330e)
    }

    /// At least 0 and below 1.
    fn next(&mut self) -> f64 {
        const LARGEST: u64 = i32::MAX as u64;
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & ((1 << 48) - 1);
        let number = self.0 >> 17;
        (number % LARGEST) as f64 / LARGEST as f64
    }
}

/// `math.random`.
pub(super) fn random(lua: &Lua, arguments: MultiValue) -> mlua::Result<f64> {
    let bound = |number: usize| {
        let value = arguments.get(number).cloned().unwrap_or(Value::Nil);
        let kind = value.type_name();
        lua.coerce_integer(value)?.ok_or_else(|| {
            let problem = format!("number expected, got {kind}");
            Raised::bad_argument(lua, number + 1, "random", &problem)
        })
    };
    let bounds = match arguments.len() {
        0 => None,
        1 => Some((1, bound(0)?)),
        2 => Some((bound(0)?, bound(1)?)),
        _ => return Err(Raised::at_caller(lua, "wrong number of arguments")),
    };
    if let Some((least, most)) = bounds
        && least > most
    {
        let number = arguments.len();
        let problem = "interval is empty";
        return Err(Raised::bad_argument(lua, number, "random", problem));
    }
    let mut random = lua
        .app_data_mut::<Random>()
        .expect("BUG: Lua without a source of random numbers");
    let number = random.next();
    Ok(match bounds {
        None => number,
        Some((least, most)) => {
            let count = most as f64 - least as f64 + 1.0;
            (number * count).floor() + least as f64
        }
    })
}

/// `math.randomseed`.
pub(super) fn seed(lua: &Lua, seed: f64) -> mlua::Result<()> {
    lua.set_app_data(Random::new(seed as i64 as i32));
    Ok(())
}
