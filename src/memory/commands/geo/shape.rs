//! The area of a search, and the cells that cover it.

use super::{
    cell::{Cell, STEPS},
    point::{Area, EARTH, Point, RADIUS, degrees, radians},
};

/// Around its centre, in metres.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// To the east and to the north, in the order in which Redis searches.
const NEIGHBORS: [(i32, i32); 8] = [
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (1, 1),
    (-1, 1),
    (1, -1),
    (-1, -1),
];

impl Shape {
    /// The distance of a point from the centre, if the point is in the shape.
    pub(super) fn distance(self, centre: Point, point: Point) -> Option<f64> {
        match self {
            Self::Circle { radius } => {
                let distance = centre.distance(point);
                (distance <= radius).then_some(distance)
            }
            Self::Box { width, height } => {
                let meridian = Point {
                    longitude: centre.longitude,
                    ..point
                };
                let is_outside = point.distance_in_latitude(centre) > height / 2.0
                    || point.distance(meridian) > width / 2.0;
                (!is_outside).then(|| centre.distance(point))
            }
        }
    }

    /// The cells in which there may be points of the shape, in the order in which Redis searches them. As there,
    /// cells over the poles and those beyond the date line may be missing.
    pub(super) fn cells(self, centre: Point) -> Vec<Cell> {
        let bounds = self.bounds(centre);
        let mut steps = self.steps(centre.latitude);
        let mut cell = Cell::of(centre, steps, EARTH);
        if steps > 1 && !neighbors_cover(cell, bounds) {
            steps -= 1;
            cell = Cell::of(centre, steps, EARTH);
        }
        let area = cell.area();
        let is_needed = |&(east, north): &(i32, i32)| {
            steps < 2
                || !(north < 0 && area.least.latitude < bounds.least.latitude
                    || north > 0 && area.greatest.latitude > bounds.greatest.latitude
                    || east < 0 && area.least.longitude < bounds.least.longitude
                    || east > 0 && area.greatest.longitude > bounds.greatest.longitude)
        };
        let neighbors = NEIGHBORS.iter().filter(|way| is_needed(way));
        let mut cells = vec![cell];
        cells.extend(neighbors.map(|(east, north)| cell.neighbor(*east, *north)));
        // With few cells on the whole earth, neighbors in two directions may be the same.
        cells.dedup();
        cells
    }

    /// The steps after which cells are about as large as the shape.
    fn steps(self, latitude: f64) -> u32 {
        /// Half of the length of the equator, in the projection of Mercator.
        const LARGEST: f64 = 20_037_726.37;
        let mut reach = match self {
            Self::Circle { radius } => radius,
            Self::Box { width, height } => {
                (width / 2.0 * (width / 2.0) + height / 2.0 * (height / 2.0)).sqrt()
            }
        };
        if reach == 0.0 {
            return STEPS;
        }
        let mut steps = -1_i32;
        while reach < LARGEST {
            reach *= 2.0;
            steps += 1;
        }
        // Cells are narrower near the poles.
        steps -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
        steps.clamp(1, STEPS as i32).unsigned_abs()
    }

    /// The degrees that the shape covers.
    fn bounds(self, centre: Point) -> Area {
        let (half_width, half_height) = match self {
            Self::Circle { radius } => (radius, radius),
            Self::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let north = degrees(half_height / RADIUS);
        // Where the shape is widest in degrees on the northern half; on the southern one as Redis has it.
        let widest = if centre.latitude < 0.0 {
            centre.latitude - north
        } else {
            centre.latitude + north
        };
        let east = degrees(half_width / RADIUS / radians(widest).cos());
        Area {
            least: Point {
                longitude: centre.longitude - east,
                latitude: centre.latitude - north,
            },
            greatest: Point {
                longitude: centre.longitude + east,
                latitude: centre.latitude + north,
            },
        }
    }
}

/// Whether a cell and those around it cover an area.
fn neighbors_cover(cell: Cell, bounds: Area) -> bool {
    let area = |east, north| cell.neighbor(east, north).area();
    !(area(0, 1).greatest.latitude < bounds.greatest.latitude
        || area(0, -1).least.latitude > bounds.least.latitude
        || area(1, 0).greatest.longitude < bounds.greatest.longitude
        || area(-1, 0).least.longitude > bounds.least.longitude)
}
