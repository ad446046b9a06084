//! Unions, intersections and differences of sorted sets, and of sets, whose members count with a score of 1.

use bytes::Bytes;
use indexmap::IndexMap;

use super::{members, store};
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{Database, Set, SortedSet, Value},
    number,
    reply::Reply,
};

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// The form of a command: one that replies, one that stores, or one that counts.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Reply,
    Store,
    Count,
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Result<Self, Halt> {
        match word {
            word if is(word, "SUM") => Ok(Self::Sum),
            word if is(word, "MIN") => Ok(Self::Min),
            word if is(word, "MAX") => Ok(Self::Max),
            _ => Err(Halt::SYNTAX),
        }
    }

    /// Opposite infinities add up to 0.
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => or_zero(one + other),
            Self::Min => one.min(other),
            Self::Max => one.max(other),
        }
    }
}

fn or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// The keys and the options of a command.
struct Query<'a> {
    keys: &'a [Bytes],
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// The greatest count of ZINTERCARD; 0 for no limit.
    limit: usize,
}

impl<'a> Query<'a> {
    /// Reads the arguments from the number of keys on. Keys of other types are an error before options are.
    fn parse(
        cx: &mut Context<'_>,
        name: &str,
        args: &'a [Bytes],
        operation: Operation,
        form: Form,
    ) -> Result<Self, Halt> {
        let count = integer(&args[0])?;
        if count < 1 {
            return Err(Halt::error(format!(
                "ERR at least 1 input key is needed for '{name}' command"
            )));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > args.len() - 1 {
            return Err(Halt::SYNTAX);
        }
        let (keys, rest) = args[1..].split_at(count);
        check_types(cx, keys)?;
        let mut query = Self {
            keys,
            weights: vec![1.0; count],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: 0,
        };
        query.parse_options(rest, operation, form)?;
        Ok(query)
    }

    fn parse_options(
        &mut self,
        rest: &[Bytes],
        operation: Operation,
        form: Form,
    ) -> Result<(), Halt> {
        let is_weighted = operation != Operation::Difference && form != Form::Count;
        let mut words = Words::new(rest);
        while let Some(word) = words.next() {
            let left = words.len();
            if is_weighted && is(word, "WEIGHTS") && left >= self.keys.len() {
                for weight in &mut self.weights {
                    *weight = number::float(words.expect()?)
                        .ok_or(Halt::error("ERR weight value is not a float"))?;
                }
            } else if is_weighted && is(word, "AGGREGATE") && left >= 1 {
                self.aggregate = Aggregate::parse(words.expect()?)?;
            } else if form == Form::Reply && is(word, "WITHSCORES") {
                self.with_scores = true;
            } else if form == Form::Count && is(word, "LIMIT") && left >= 1 {
                let limit = integer(words.expect()?).ok();
                self.limit = limit
                    .and_then(|limit| limit.try_into().ok())
                    .ok_or(Halt::error("ERR LIMIT can't be negative"))?;
            } else {
                return Err(Halt::SYNTAX);
            }
        }
        Ok(())
    }

    fn run(&self, database: &Database, operation: Operation) -> Vec<(Bytes, f64)> {
        let sources = self.keys.iter().zip(&self.weights);
        let mut sources: Vec<_> = sources
            .map(|(key, weight)| (Source::of(database.peek(key)), *weight))
            .collect();
        if operation == Operation::Difference {
            return difference(&sources);
        }
        // The order in which Redis adds, which matters where sums are rounded.
        sources.sort_by_key(|(source, _)| source.len());
        match operation {
            Operation::Union => union(&sources, self.aggregate),
            _ => intersection(&sources, self.aggregate).collect(),
        }
    }
}

fn check_types(cx: &mut Context<'_>, keys: &[Bytes]) -> Result<(), Halt> {
    for key in keys {
        match cx.db().value(key) {
            None | Some(Value::SortedSet(_) | Value::Set(_)) => {}
            Some(_) => return Err(Halt::WRONG_TYPE),
        }
    }
    Ok(())
}

/// The value of a key, as a sorted set.
#[derive(Clone, Copy)]
enum Source<'a> {
    Nothing,
    Set(&'a Set),
    Sorted(&'a SortedSet),
}

impl<'a> Source<'a> {
    fn of(value: Option<&'a Value>) -> Self {
        match value {
            Some(Value::Set(set)) => Self::Set(set),
            Some(Value::SortedSet(set)) => Self::Sorted(set),
            _ => Self::Nothing,
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Set(set) => set.len(),
            Self::Sorted(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::Set(set) => set.contains(member).then_some(1.0),
            Self::Sorted(set) => set.score(member),
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = (&'a Bytes, f64)> + 'a> {
        match self {
            Self::Nothing => Box::new(std::iter::empty()),
            Self::Set(set) => Box::new(set.iter().map(|member| (member, 1.0))),
            Self::Sorted(set) => Box::new(set.iter().map(|(score, member)| (member, *score))),
        }
    }
}

fn union(sources: &[(Source<'_>, f64)], aggregate: Aggregate) -> Vec<(Bytes, f64)> {
    let mut scores = IndexMap::<Bytes, f64>::new();
    for (source, weight) in sources {
        for (member, score) in source.iter() {
            let score = or_zero(score * weight);
            scores
                .entry(member.clone())
                .and_modify(|held| *held = aggregate.of(*held, score))
                .or_insert(score);
        }
    }
    scores.into_iter().collect()
}

fn intersection<'a>(
    sources: &'a [(Source<'a>, f64)],
    aggregate: Aggregate,
) -> impl Iterator<Item = (Bytes, f64)> + 'a {
    let (first, others) = sources.split_first().expect("BUG: no keys");
    first.0.iter().filter_map(move |(member, score)| {
        let mut sum = or_zero(score * first.1);
        for (other, weight) in others {
            sum = aggregate.of(sum, other.score(member)? * weight);
        }
        Some((member.clone(), sum))
    })
}

fn difference(sources: &[(Source<'_>, f64)]) -> Vec<(Bytes, f64)> {
    let (first, others) = sources.split_first().expect("BUG: no keys");
    let is_elsewhere = |member: &Bytes| {
        others
            .iter()
            .any(|(other, _)| other.score(member).is_some())
    };
    let left = first.0.iter().filter(|(member, _)| !is_elsewhere(member));
    left.map(|(member, score)| (member.clone(), score))
        .collect()
}

fn combine(cx: &mut Context<'_>, name: &str, args: &[Bytes], operation: Operation) -> Outcome {
    let query = Query::parse(cx, name, &args[1..], operation, Form::Reply)?;
    let result: SortedSet = query.run(cx.db(), operation).into_iter().collect();
    Ok(members(cx, result.iter().cloned(), query.with_scores))
}

fn combine_and_store(
    cx: &mut Context<'_>,
    name: &str,
    args: &[Bytes],
    operation: Operation,
) -> Outcome {
    let query = Query::parse(cx, name, &args[2..], operation, Form::Store)?;
    let result = query.run(cx.db(), operation);
    Ok(store(cx, &args[1], result))
}

pub(super) fn zunion(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    combine(cx, "zunion", args, Operation::Union)
}

pub(super) fn zinter(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    combine(cx, "zinter", args, Operation::Intersection)
}

pub(super) fn zdiff(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    combine(cx, "zdiff", args, Operation::Difference)
}

pub(super) fn zunionstore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    combine_and_store(cx, "zunionstore", args, Operation::Union)
}

pub(super) fn zinterstore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    combine_and_store(cx, "zinterstore", args, Operation::Intersection)
}

pub(super) fn zdiffstore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    combine_and_store(cx, "zdiffstore", args, Operation::Difference)
}

pub(super) fn zintercard(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let operation = Operation::Intersection;
    let query = Query::parse(cx, "zintercard", &args[1..], operation, Form::Count)?;
    let database = cx.db();
    let mut sources: Vec<_> = query
        .keys
        .iter()
        .map(|key| (Source::of(database.peek(key)), 1.0))
        .collect();
    sources.sort_by_key(|(source, _)| source.len());
    let limit = if query.limit == 0 {
        usize::MAX
    } else {
        query.limit
    };
    let common = intersection(&sources, Aggregate::Sum).take(limit);
    Ok(Reply::count(common.count()))
}
