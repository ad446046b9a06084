//! Positions drawn at random: the counts of HRANDFIELD and SRANDMEMBER.

use std::collections::HashMap;

use fastrand::Rng;

use crate::memory::{arguments::integer, halt::Halt};

/// Draws with repetition in one command at most. A real server sends as many as it is asked for, one by one.
const MOST_REPEATED: i64 = 1 << 20;

/// The count of a command: of different elements, or if negative of any. Redis has no opposite of the least
/// integer.
pub(super) fn count(argument: &[u8]) -> Result<i64, Halt> {
    let count = integer(argument)?;
    if count == i64::MIN {
        return Err(Halt::error(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    Ok(count)
}

/// The positions of so many elements, of a collection with as many.
pub(super) fn positions(random: &mut Rng, len: usize, count: i64) -> Result<Vec<usize>, Halt> {
    if len == 0 || count == 0 {
        return Ok(Vec::new());
    }
    if count < -MOST_REPEATED {
        return Err(Halt::error("ERR value is out of range"));
    }
    if count < 0 {
        return Ok((count..0).map(|_| random.usize(..len)).collect());
    }
    let count = usize::try_from(count).unwrap_or(len);
    if count >= len {
        return Ok((0..len).collect());
    }
    Ok(different(random, len, count))
}

/// The beginning of a shuffle of all positions, of which only those that have moved are held.
fn different(random: &mut Rng, len: usize, count: usize) -> Vec<usize> {
    let mut moved = HashMap::new();
    let drawn = (0..count).map(|first| {
        let position = random.usize(first..len);
        let here = moved.get(&first).copied().unwrap_or(first);
        moved.insert(position, here).unwrap_or(position)
    });
    drawn.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_positions_are_different() {
        let mut random = Rng::with_seed(7);
        for count in 1..=20 {
            let mut drawn = positions(&mut random, 20, count).expect("positions");
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len() as i64, count);
            assert!(drawn.iter().all(|position| *position < 20));
        }
        assert_eq!(
            positions(&mut random, 3, -50).map(|drawn| drawn.len()),
            Ok(50)
        );
        assert_eq!(positions(&mut random, 3, 9), Ok(vec![0, 1, 2]));
        assert!(positions(&mut random, 3, i64::MIN + 1).is_err());
    }
}
