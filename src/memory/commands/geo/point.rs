//! Points on the earth, distances between them, and areas.

use bytes::Bytes;

use crate::memory::{arguments::float, halt::Halt};

/// The radius of the earth in metres, as Redis has it.
pub(super) const RADIUS: f64 = 6_372_797.560_856;
const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// In degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

/// An area, from its south-western corner to the north-eastern one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) least: Point,
    pub(super) greatest: Point,
}

/// The area that cells divide: all but the poles.
pub(super) const EARTH: Area = Area {
    least: Point {
        longitude: -180.0,
        latitude: -85.051_128_78,
    },
    greatest: Point {
        longitude: 180.0,
        latitude: 85.051_128_78,
    },
};

impl Point {
    /// Reads a longitude and a latitude.
    pub(super) fn parse(longitude: &Bytes, latitude: &Bytes) -> Result<Self, Halt> {
        let point = Self {
            longitude: float(longitude)?,
            latitude: float(latitude)?,
        };
        let (least, greatest) = (EARTH.least, EARTH.greatest);
        let is_on_earth = (least.longitude..=greatest.longitude).contains(&point.longitude)
            && (least.latitude..=greatest.latitude).contains(&point.latitude);
        if is_on_earth {
            Ok(point)
        } else {
            Err(Halt::error(format!(
                "ERR invalid longitude,latitude pair {:.6},{:.6}",
                point.longitude, point.latitude
            )))
        }
    }

    /// The way along the surface in metres, by the haversine formula.
    pub(super) fn distance(self, other: Self) -> f64 {
        let longitudes = (radians(other.longitude) - radians(self.longitude)) / 2.0;
        let v = longitudes.sin();
        if v == 0.0 {
            return self.distance_in_latitude(other);
        }
        let (one, two) = (radians(self.latitude), radians(other.latitude));
        let u = ((two - one) / 2.0).sin();
        let a = u * u + one.cos() * two.cos() * v * v;
        // On opposite sides of the earth it may come out too large.
        2.0 * RADIUS * a.sqrt().min(1.0).asin()
    }

    /// The way to the circle of latitude of another point.
    pub(super) fn distance_in_latitude(self, other: Self) -> f64 {
        RADIUS * (radians(other.latitude) - radians(self.latitude)).abs()
    }
}

pub(super) fn radians(degrees: f64) -> f64 {
    degrees * RADIANS
}

pub(super) fn degrees(radians: f64) -> f64 {
    radians / RADIANS
}
