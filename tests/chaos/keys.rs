//! The keys of a caller. In a cluster they are at all nodes.

/// How many keys are written and read at once.
pub(crate) const SEVERAL: usize = 6;

pub(crate) fn counter(caller: u64) -> String {
    format!("counter:{caller}")
}

pub(crate) fn members(caller: u64) -> String {
    format!("members:{caller}")
}

pub(crate) fn value(caller: u64) -> String {
    format!("value:{caller}")
}

pub(crate) fn list(caller: u64) -> String {
    format!("list:{caller}")
}

/// The last two have one slot, which may be on its way between two nodes.
pub(crate) fn several(caller: u64) -> Vec<String> {
    let key = |place| match place {
        0..4 => format!("several:{caller}:{place}"),
        _ => format!("{{several:{caller}}}:{place}"),
    };
    (0..SEVERAL).map(key).collect()
}

/// The size of the value at this place, which tells it from the others.
pub(crate) fn bytes_at(place: usize) -> usize {
    50 + place
}
