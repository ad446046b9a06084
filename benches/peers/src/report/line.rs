//! How each client is drawn.

use plotters::{
    element::{DashedPathElement, DynElement, IntoDynElement},
    prelude::*,
};

use crate::contender::Name;

/// A colour that colour-blind readers can tell from the others (those of Okabe and Ito, with four
/// darker ones), and a marker, so that it does not have to be told by its colour alone.
pub struct Line {
    color: RGBColor,
    marker: Marker,
    width: u32,
}

#[derive(Clone, Copy)]
enum Marker {
    Circle,
    Triangle,
    Cross,
    /// No markers, and a dashed line.
    Dashes,
}

const MARKER: i32 = 4;
const DASH: i32 = 6;

impl Line {
    pub fn of(name: Name) -> Self {
        let (red, green, blue, marker) = match name {
            Name::RedisSteward | Name::RedisStewardPatient => (213, 94, 0, Marker::Circle),
            Name::RedisStewardObserved => (213, 94, 0, Marker::Cross),
            Name::RedisRs => (0, 114, 178, Marker::Circle),
            Name::RedisRsManager => (86, 180, 233, Marker::Triangle),
            Name::DeadpoolRedis => (0, 0, 0, Marker::Cross),
            Name::Bb8Redis => (136, 34, 85, Marker::Triangle),
            Name::Fred => (0, 158, 115, Marker::Circle),
            Name::FredPool => (230, 159, 0, Marker::Triangle),
            Name::Rustis => (204, 121, 167, Marker::Cross),
            Name::RedisTower => (140, 110, 40, Marker::Cross),
            Name::ValkeyGlide => (90, 60, 160, Marker::Circle),
            Name::RedisBenchmark => (120, 120, 120, Marker::Dashes),
        };
        Self {
            color: RGBColor(red, green, blue),
            marker,
            width: if name == Name::RedisSteward { 4 } else { 2 },
        }
    }

    /// The line and its markers, in a chart's coordinates or in pixels.
    pub fn elements<DB, C>(&self, points: &[C]) -> Vec<DynElement<'static, DB, C>>
    where
        DB: DrawingBackend,
        C: Clone + 'static,
    {
        let markers = points.iter().filter_map(|point| self.marker(point.clone()));
        [self.path(points)].into_iter().chain(markers).collect()
    }

    pub fn path<DB, C>(&self, points: &[C]) -> DynElement<'static, DB, C>
    where
        DB: DrawingBackend,
        C: Clone + 'static,
    {
        let points = points.to_vec();
        let style = self.color.stroke_width(self.width);
        match self.marker {
            Marker::Dashes => DashedPathElement::new(points, DASH, DASH, style).into_dyn(),
            _ => PathElement::new(points, style).into_dyn(),
        }
    }

    pub fn marker<DB, C>(&self, at: C) -> Option<DynElement<'static, DB, C>>
    where
        DB: DrawingBackend,
        C: Clone + 'static,
    {
        let size = MARKER + self.width as i32 / 4;
        let filled = self.color.filled();
        match self.marker {
            Marker::Circle => Some(Circle::new(at, size, filled).into_dyn()),
            Marker::Triangle => Some(TriangleMarker::new(at, size + 1, filled).into_dyn()),
            Marker::Cross => Some(Cross::new(at, size, self.color.stroke_width(2)).into_dyn()),
            Marker::Dashes => None,
        }
    }
}
