//! Cells: the surface of the earth is halved in both directions again and again. The bits of a cell tell in which
//! halves it is, a bit of the longitude and one of the latitude in turn; those of 26 steps are the score of a
//! member. Cells that are near each other are mostly near each other in order, too.
//!
//! The numbers are computed as Redis does, in its order of operations, so that scores are the same to the last bit.

use std::ops::Range;

use super::point::{Area, EARTH, Point};

/// The steps of the scores of members.
pub(super) const STEPS: u32 = 26;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    bits: u64,
    steps: u32,
}

impl Cell {
    /// The cell of so many steps in which a point is, if cells divide this area. At its northern and eastern edge
    /// a bit more is set.
    pub(super) fn of(point: Point, steps: u32, whole: Area) -> Self {
        let count = (1_u64 << steps) as f64;
        let column = count
            * ((point.longitude - whole.least.longitude)
                / (whole.greatest.longitude - whole.least.longitude));
        let row = count
            * ((point.latitude - whole.least.latitude)
                / (whole.greatest.latitude - whole.least.latitude));
        Self::at(column as u32, row as u32, steps)
    }

    /// The cell whose bits are a score. Scores that are none of a point become bits as on x86-64.
    fn of_score(score: f64) -> Self {
        const SIGNED: f64 = 9_223_372_036_854_775_808.0;
        let bits = if score < SIGNED {
            score as i64 as u64
        } else if score < 2.0 * SIGNED {
            score as u64
        } else {
            0
        };
        Self { bits, steps: STEPS }
    }

    fn at(column: u32, row: u32, steps: u32) -> Self {
        let bits = spread(column) << 1 | spread(row);
        Self { bits, steps }
    }

    fn column(self) -> u32 {
        gather(self.bits >> 1)
    }

    fn row(self) -> u32 {
        gather(self.bits)
    }

    pub(super) fn bits(self) -> u64 {
        self.bits
    }

    pub(super) fn area(self) -> Area {
        let count = (1_u64 << self.steps) as f64;
        let (least, greatest) = (EARTH.least, EARTH.greatest);
        let longitude = |column: u32| {
            least.longitude + f64::from(column) / count * (greatest.longitude - least.longitude)
        };
        let latitude = |row: u32| {
            least.latitude + f64::from(row) / count * (greatest.latitude - least.latitude)
        };
        let (column, row) = (self.column(), self.row());
        Area {
            least: Point {
                longitude: longitude(column),
                latitude: latitude(row),
            },
            greatest: Point {
                longitude: longitude(column.wrapping_add(1)),
                latitude: latitude(row.wrapping_add(1)),
            },
        }
    }

    /// The cell so far to the east and to the north. Behind the last one comes the first one, also at the poles.
    pub(super) fn neighbor(self, east: i32, north: i32) -> Self {
        let moved = |position: u32, by: i32| {
            if by == 0 {
                position
            } else {
                position.wrapping_add_signed(by) & ((1 << self.steps) - 1)
            }
        };
        Self::at(
            moved(self.column(), east),
            moved(self.row(), north),
            self.steps,
        )
    }

    /// The scores of the members in it.
    pub(super) fn scores(self) -> Range<f64> {
        let shift = 2 * (STEPS - self.steps);
        (self.bits << shift) as f64..((self.bits + 1) << shift) as f64
    }
}

/// The score of a member at a point: an integer of 52 bits.
pub(super) fn score_of(point: Point) -> u64 {
    Cell::of(point, STEPS, EARTH).bits()
}

/// The point of a member: the middle of the cell that its score is. Of a cell beyond the edge it is the edge.
pub(super) fn point_of(score: f64) -> Point {
    let area = Cell::of_score(score).area();
    let longitude = (area.least.longitude + area.greatest.longitude) / 2.0;
    let latitude = (area.least.latitude + area.greatest.latitude) / 2.0;
    let (least, greatest) = (EARTH.least, EARTH.greatest);
    Point {
        longitude: longitude.clamp(least.longitude, greatest.longitude),
        latitude: latitude.clamp(least.latitude, greatest.latitude),
    }
}

/// Puts the bits of a number at the even places.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// Takes the bits from the even places.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_alternate() {
        assert_eq!(spread(0b1011), 0b100_0101);
        for number in [0, 1, 0x1234_5678, u32::MAX] {
            assert_eq!(gather(spread(number)), number);
            assert_eq!(gather(spread(number) | spread(!number) << 1), number);
        }
    }

    #[test]
    fn a_cell_is_around_its_point() {
        let point = Point {
            longitude: 13.361_389,
            latitude: 38.115_556,
        };
        for steps in 1..=STEPS {
            let area = Cell::of(point, steps, EARTH).area();
            assert!((area.least.longitude..area.greatest.longitude).contains(&point.longitude));
            assert!((area.least.latitude..area.greatest.latitude).contains(&point.latitude));
        }
        let cell = Cell::of(point, STEPS, EARTH);
        assert_eq!(cell.bits(), 3_479_099_956_230_698);
        assert_eq!(Cell::of_score(cell.bits() as f64), cell);
    }

    #[test]
    fn neighbors_go_around_the_earth() {
        let cell = Cell::at(0, 3, 2);
        assert_eq!(cell.neighbor(-1, 0), Cell::at(3, 3, 2));
        assert_eq!(cell.neighbor(1, 1), Cell::at(1, 0, 2));
        assert_eq!(cell.neighbor(0, -1), Cell::at(0, 2, 2));
    }

    #[test]
    fn scores_of_no_point_have_bits_too() {
        let bits = |score| Cell::of_score(score).bits();
        assert_eq!(bits(-1.5), u64::MAX);
        assert_eq!(bits(f64::NEG_INFINITY), 1 << 63);
        assert_eq!(bits(1e19), 10_000_000_000_000_000_000);
        assert_eq!(bits(f64::INFINITY), 0);
    }
}
