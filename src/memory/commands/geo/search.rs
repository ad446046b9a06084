//! GEOSEARCH, GEORADIUS and their kin.

use bytes::Bytes;

use super::{
    cell::point_of,
    distance_text,
    point::Point,
    point_reply,
    query::{Form, Order, Query},
    shape::Shape,
};
use crate::memory::{
    context::Context,
    halt::Outcome,
    keyspace::{Kind, SortedSet},
    reply::Reply,
};

/// A member that was found.
struct Found {
    member: Bytes,
    score: f64,
    point: Point,
    /// From the centre, in metres.
    distance: f64,
}

pub(super) fn georadius(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    run(cx, args, Form::Radius { may_store: true })
}

pub(super) fn georadius_ro(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    run(cx, args, Form::Radius { may_store: false })
}

pub(super) fn georadiusbymember(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    run(cx, args, Form::RadiusByMember { may_store: true })
}

pub(super) fn georadiusbymember_ro(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    run(cx, args, Form::RadiusByMember { may_store: false })
}

pub(super) fn geosearch(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    run(cx, args, Form::Search)
}

pub(super) fn geosearchstore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    run(cx, args, Form::SearchStore)
}

fn run(cx: &mut Context<'_>, args: &[Bytes], form: Form) -> Outcome {
    let key = if form == Form::SearchStore {
        &args[2]
    } else {
        &args[1]
    };
    let set = cx.db().read::<SortedSet>(key)?;
    let query = Query::parse(args, form, set)?;
    let found = match (set, query.centre, query.shape) {
        (Some(set), Some(centre), Some(shape)) => search(set, centre, shape, &query),
        _ => Vec::new(),
    };
    let Some(target) = query.target else {
        let replies = found.into_iter().map(|found| found.reply(&query));
        return Ok(Reply::Array(replies.collect()));
    };
    let count = found.len();
    let members = found.into_iter().map(|found| {
        let score = if target.of_distances {
            found.distance / query.unit
        } else {
            found.score
        };
        (found.member, score)
    });
    let result: SortedSet = members.collect();
    cx.db().insert(target.key, result.into_value());
    Ok(Reply::count(count))
}

fn search(set: &SortedSet, centre: Point, shape: Shape, query: &Query<'_>) -> Vec<Found> {
    let cells = shape.cells(centre).into_iter();
    let ranges = cells.map(|cell| {
        let scores = cell.scores();
        let first = set.partition_point(|(score, _)| *score < scores.start);
        let end = set.partition_point(|(score, _)| *score < scores.end);
        set.range(first..end)
    });
    let found = ranges.flatten().filter_map(|(score, member)| {
        let point = point_of(*score);
        let distance = shape.distance(centre, point)?;
        Some(Found {
            member: member.clone(),
            score: *score,
            point,
            distance,
        })
    });
    let count = query.count.unwrap_or(usize::MAX);
    let enough = if query.any { count } else { usize::MAX };
    let mut found: Vec<_> = found.take(enough).collect();
    // So many of all are the nearest ones, unless the order is given.
    let by_default = query.count.filter(|_| !query.any).map(|_| Order::Nearest);
    match query.order.or(by_default) {
        Some(Order::Nearest) => found.sort_by(|one, two| one.distance.total_cmp(&two.distance)),
        Some(Order::Farthest) => found.sort_by(|one, two| two.distance.total_cmp(&one.distance)),
        None => {}
    }
    found.truncate(count);
    found
}

impl Found {
    /// The member; with options, an array of the member and what is asked for.
    fn reply(self, query: &Query<'_>) -> Reply {
        let mut parts = vec![Reply::Bulk(self.member)];
        if query.with_distance {
            parts.push(distance_text(self.distance / query.unit));
        }
        if query.with_score {
            parts.push(Reply::Integer(self.score as i64));
        }
        if query.with_point {
            parts.push(point_reply(self.point));
        }
        if parts.len() == 1 {
            return parts.remove(0);
        }
        Reply::Array(parts)
    }
}
