//! The registers of a HyperLogLog, and the estimate of Redis.

use bytes::Bytes;

use super::halt::Halt;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
const COUNT: usize = 1 << INDEX_BITS;
/// Bits of a hash whose zeros a register counts.
const TAIL_BITS: u32 = 64 - INDEX_BITS;

const HEADER: usize = 16;
const REGISTER_BITS: usize = 6;
const MASK: u8 = 0x3f;
const DENSE_BYTES: usize = HEADER + COUNT * REGISTER_BITS / 8;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// The highest bit of the cached estimate in the header: the estimate is out of date.
const STALE: u8 = 0x80;

const INVALID: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "WRONGTYPE Key is not a valid HyperLogLog string value.",
));
const CORRUPT: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "INVALIDOBJ Corrupted HLL object detected",
));

#[derive(Debug, PartialEq)]
pub(super) struct Registers(Vec<u8>);

impl Default for Registers {
    fn default() -> Self {
        Self(vec![0; COUNT])
    }
}

impl Registers {
    /// Reads both forms that Redis writes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Halt> {
        let (header, body) = bytes.split_at_checked(HEADER).ok_or(INVALID)?;
        match (&header[..4], header[4]) {
            (b"HYLL", DENSE) if bytes.len() == DENSE_BYTES => Ok(Self::dense(body)),
            (b"HYLL", SPARSE) => Self::sparse(body).ok_or(CORRUPT),
            _ => Err(INVALID),
        }
    }

    fn dense(body: &[u8]) -> Self {
        Self((0..COUNT).map(|index| register(body, index)).collect())
    }

    /// Runs of equal registers.
    fn sparse(body: &[u8]) -> Option<Self> {
        let mut registers = Vec::with_capacity(COUNT);
        let mut left = body;
        while let [first, rest @ ..] = left {
            let (value, length) = match first >> 6 {
                0 => (0, usize::from(first & 0x3f) + 1),
                1 => {
                    let (second, rest) = rest.split_first()?;
                    left = rest;
                    (
                        0,
                        (usize::from(first & 0x3f) << 8 | usize::from(*second)) + 1,
                    )
                }
                _ => ((first >> 2 & 0x1f) + 1, usize::from(first & 3) + 1),
            };
            if first >> 6 != 1 {
                left = rest;
            }
            registers.resize(registers.len() + length, value);
            if registers.len() > COUNT {
                return None;
            }
        }
        (registers.len() == COUNT).then_some(Self(registers))
    }

    /// The dense form.
    pub(super) fn written(&self) -> Bytes {
        let mut bytes = vec![0; DENSE_BYTES];
        bytes[..4].copy_from_slice(b"HYLL");
        bytes[HEADER - 1] = STALE;
        for (index, register) in self.0.iter().enumerate() {
            set_register(&mut bytes[HEADER..], index, *register);
        }
        bytes.into()
    }

    /// Tells whether a register has changed.
    pub(super) fn add(&mut self, element: &[u8]) -> bool {
        let (index, value) = place(element);
        let is_higher = value > self.0[index];
        if is_higher {
            self.0[index] = value;
        }
        is_higher
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (register, other) in self.0.iter_mut().zip(&other.0) {
            *register = (*register).max(*other);
        }
    }

    /// The estimate of Otmar Ertl's "New cardinality estimation algorithms for HyperLogLog sketches".
    pub(super) fn count(&self) -> u64 {
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        let mut histogram = [0_u32; 64];
        for register in &self.0 {
            histogram[usize::from(*register)] += 1;
        }
        let count = COUNT as f64;
        let share = |number: u32| f64::from(number) / count;
        let full = histogram[TAIL_BITS as usize + 1];
        let mut z = count * tau((count - f64::from(full)) / count);
        for number in histogram[1..=TAIL_BITS as usize].iter().rev() {
            z = 0.5 * (z + f64::from(*number));
        }
        z += count * sigma(share(histogram[0]));
        (ALPHA * count * count / z).round() as u64
    }
}

/// Whether bytes are registers in the dense form.
pub(super) fn is_dense(bytes: &[u8]) -> bool {
    bytes.len() == DENSE_BYTES && bytes.starts_with(b"HYLL") && bytes[4] == DENSE
}

/// Adds an element to registers in the dense form, where they are. Tells whether a register has changed.
pub(super) fn add_to_dense(bytes: &mut [u8], element: &[u8]) -> bool {
    let (index, value) = place(element);
    let is_higher = value > register(&bytes[HEADER..], index);
    if is_higher {
        set_register(&mut bytes[HEADER..], index, value);
        bytes[HEADER - 1] |= STALE;
    }
    is_higher
}

/// The register of an element, and the value that it has at least.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let tail = hash >> INDEX_BITS | 1 << TAIL_BITS;
    (hash as usize % COUNT, tail.trailing_zeros() as u8 + 1)
}

/// A register of the dense form: six bits, the lowest bits of a byte first.
fn register(body: &[u8], index: usize) -> u8 {
    let byte = |at: usize| u16::from(body.get(at).copied().unwrap_or(0));
    let (at, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let pair = byte(at) | byte(at + 1) << 8;
    (pair >> shift) as u8 & MASK
}

fn set_register(body: &mut [u8], index: usize, value: u8) {
    let (at, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let (mask, value) = (u16::from(MASK) << shift, u16::from(value) << shift);
    body[at] = body[at] & !(mask as u8) | value as u8;
    if let Some(next) = body.get_mut(at + 1) {
        *next = *next & !((mask >> 8) as u8) | (value >> 8) as u8;
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

/// MurmurHash64A with the seed of Redis.
fn hash(bytes: &[u8]) -> u64 {
    const SEED: u64 = 0xadc8_3b19;
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> R;
        hash = (hash ^ word.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_registers_are_read_again() {
        let mut registers = Registers::default();
        for number in 0..20_000 {
            registers.add(format!("element {number}").as_bytes());
        }
        assert_eq!(Registers::read(&registers.written()), Ok(registers));
    }

    #[test]
    fn elements_are_added_where_the_registers_are() {
        let mut registers = Registers::default();
        let mut bytes = registers.written().to_vec();
        assert!(is_dense(&bytes));
        for number in 0..20_000 {
            let element = format!("element {}", number / 2);
            let is_changed = registers.add(element.as_bytes());
            assert_eq!(add_to_dense(&mut bytes, element.as_bytes()), is_changed);
        }
        assert_eq!(registers.written(), bytes);
    }

    #[test]
    fn the_sparse_form_is_read() {
        let mut bytes = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80".to_vec();
        // Ten zeros, twice the value 3, and zeros up to the end.
        bytes.extend([9, 0x80 | 2 << 2 | 1, 0x40 | 0x3f, 0xf3]);
        let registers = Registers::read(&bytes).expect("registers");
        assert_eq!(registers.0[9..13], [0, 3, 3, 0]);
        bytes.push(0);
        assert_eq!(Registers::read(&bytes), Err(CORRUPT));
    }
}
