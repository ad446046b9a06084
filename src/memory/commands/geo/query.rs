//! What GEOSEARCH, GEORADIUS and their kin ask for.

use bytes::Bytes;

use super::{cell::point_of, point::Point, shape::Shape, unit};
use crate::memory::{
    arguments::{Words, integer, is},
    halt::Halt,
    keyspace::SortedSet,
    number,
};

/// The forms of the search.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// GEORADIUS.
    Radius { may_store: bool },
    /// GEORADIUSBYMEMBER.
    RadiusByMember { may_store: bool },
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Nearest,
    Farthest,
}

/// In which key the result is stored, and as what.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) key: &'a Bytes,
    /// Scores are distances, and not those of the source.
    pub(super) of_distances: bool,
}

#[derive(Default)]
pub(super) struct Query<'a> {
    pub(super) centre: Option<Point>,
    pub(super) shape: Option<Shape>,
    /// In metres.
    pub(super) unit: f64,
    pub(super) order: Option<Order>,
    pub(super) count: Option<usize>,
    /// As many as are asked for are enough, and need not be the nearest ones.
    pub(super) any: bool,
    pub(super) with_distance: bool,
    pub(super) with_score: bool,
    pub(super) with_point: bool,
    pub(super) target: Option<Target<'a>>,
    /// FROMMEMBER was there, or FROMLONLAT. Without the set, the member has no point.
    from: Option<Origin>,
}

#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Member,
    Point,
}

impl<'a> Query<'a> {
    /// Reads the arguments, in the order in which Redis finds errors. Without the set, GEORADIUSBYMEMBER has no
    /// centre, and its radius is not looked at.
    pub(super) fn parse(
        args: &'a [Bytes],
        form: Form,
        set: Option<&SortedSet>,
    ) -> Result<Self, Halt> {
        let mut query = Self::default();
        let options = match form {
            Form::Radius { .. } => {
                query.centre = Some(Point::parse(&args[2], &args[3])?);
                query.set_radius(&args[4], &args[5])?;
                &args[6..]
            }
            Form::RadiusByMember { .. } => {
                if let Some(set) = set {
                    query.centre = Some(member(set, &args[2])?);
                    query.set_radius(&args[3], &args[4])?;
                }
                &args[5..]
            }
            Form::Search => &args[2..],
            Form::SearchStore => {
                query.set_target(&args[1], false);
                &args[3..]
            }
        };
        let mut words = Words::new(options);
        while let Some(word) = words.next() {
            let is_known = query.take_option(word, &mut words)?
                || match form {
                    Form::Radius { may_store } | Form::RadiusByMember { may_store } => {
                        may_store && query.take_target(word, &mut words)
                    }
                    Form::Search => query.take_area(word, &mut words, set)?,
                    Form::SearchStore => {
                        let of_distances = is(word, "STOREDIST");
                        if of_distances {
                            query.set_target(&args[1], true);
                        }
                        of_distances || query.take_area(word, &mut words, set)?
                    }
                };
            if !is_known {
                return Err(Halt::SYNTAX);
            }
        }
        query.check(form, &args[0])?;
        Ok(query)
    }

    /// Takes an option that all forms have. Tells whether it is one.
    fn take_option(&mut self, word: &[u8], words: &mut Words<'a>) -> Result<bool, Halt> {
        if is(word, "WITHDIST") {
            self.with_distance = true;
        } else if is(word, "WITHHASH") {
            self.with_score = true;
        } else if is(word, "WITHCOORD") {
            self.with_point = true;
        } else if is(word, "ANY") {
            self.any = true;
        } else if is(word, "ASC") {
            self.order = Some(Order::Nearest);
        } else if is(word, "DESC") {
            self.order = Some(Order::Farthest);
        } else if is(word, "COUNT") && !words.is_empty() {
            let count = integer(words.expect()?)?;
            if count <= 0 {
                return Err(Halt::error("ERR COUNT must be > 0"));
            }
            self.count = Some(usize::try_from(count).unwrap_or(usize::MAX));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes STORE or STOREDIST of GEORADIUS.
    fn take_target(&mut self, word: &[u8], words: &mut Words<'a>) -> bool {
        let of_distances = is(word, "STOREDIST");
        if !of_distances && !is(word, "STORE") {
            return false;
        }
        let key = words.next();
        if let Some(key) = key {
            self.set_target(key, of_distances);
        }
        key.is_some()
    }

    /// Takes an option of GEOSEARCH that tells where to search.
    fn take_area(
        &mut self,
        word: &[u8],
        words: &mut Words<'a>,
        set: Option<&SortedSet>,
    ) -> Result<bool, Halt> {
        let (is_circle, is_box) = (
            matches!(self.shape, Some(Shape::Circle { .. })),
            matches!(self.shape, Some(Shape::Box { .. })),
        );
        match words.rest() {
            [name, ..] if is(word, "FROMMEMBER") && self.from != Some(Origin::Point) => {
                self.from = Some(Origin::Member);
                if let Some(set) = set {
                    self.centre = Some(member(set, name)?);
                }
                words.skip(1);
            }
            [longitude, latitude, ..]
                if is(word, "FROMLONLAT") && self.from != Some(Origin::Member) =>
            {
                self.from = Some(Origin::Point);
                self.centre = Some(Point::parse(longitude, latitude)?);
                words.skip(2);
            }
            [radius, unit, ..] if is(word, "BYRADIUS") && !is_box => {
                self.set_radius(radius, unit)?;
                words.skip(2);
            }
            [width, height, unit, ..] if is(word, "BYBOX") && !is_circle => {
                self.set_box(width, height, unit)?;
                words.skip(3);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_target(&mut self, key: &'a Bytes, of_distances: bool) {
        self.target = Some(Target { key, of_distances });
    }

    fn set_radius(&mut self, radius: &[u8], unit_name: &[u8]) -> Result<(), Halt> {
        let radius = number::float(radius).ok_or(Halt::error("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(Halt::error("ERR radius cannot be negative"));
        }
        self.unit = unit(unit_name)?;
        self.shape = Some(Shape::Circle {
            radius: radius * self.unit,
        });
        Ok(())
    }

    fn set_box(&mut self, width: &[u8], height: &[u8], unit_name: &[u8]) -> Result<(), Halt> {
        let width = number::float(width).ok_or(Halt::error("ERR need numeric width"))?;
        let height = number::float(height).ok_or(Halt::error("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(Halt::error("ERR height or width cannot be negative"));
        }
        self.unit = unit(unit_name)?;
        self.shape = Some(Shape::Box {
            width: width * self.unit,
            height: height * self.unit,
        });
        Ok(())
    }

    /// Whether the options fit each other, and nothing is missing.
    fn check(&self, form: Form, command: &[u8]) -> Result<(), Halt> {
        let is_search = matches!(form, Form::Search | Form::SearchStore);
        if self.target.is_some() && (self.with_distance || self.with_score || self.with_point) {
            let what = if is_search {
                "GEOSEARCHSTORE"
            } else {
                "STORE option in GEORADIUS"
            };
            return Err(Halt::error(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let missing = |options: &str| {
            let command = String::from_utf8_lossy(command);
            Halt::error(format!(
                "ERR exactly one of {options} can be specified for {command}"
            ))
        };
        if is_search && self.from.is_none() {
            return Err(missing("FROMMEMBER or FROMLONLAT"));
        }
        if is_search && self.shape.is_none() {
            return Err(missing("BYRADIUS and BYBOX"));
        }
        if self.any && self.count.is_none() {
            return Err(Halt::error("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }
}

fn member(set: &SortedSet, member: &[u8]) -> Result<Point, Halt> {
    set.score(member)
        .map(point_of)
        .ok_or(Halt::error("ERR could not decode requested zset member"))
}
