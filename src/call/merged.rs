//! One reply of the replies of several nodes.

use redis::Value;

use crate::policy::cluster::{Merge, Part, Split};

/// The replies do not fit together: a server answers with something else than it documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit;

/// The reply to a command that was split, in the order of its keys. `replies` are those of the parts, in their order. If one
/// is an error, that is the reply.
pub(super) fn merge_parts(
    split: Split,
    parts: &[Part],
    replies: Vec<Value>,
) -> Result<Value, Misfit> {
    match split {
        Split::Count => merge(Merge::Sum, replies),
        Split::Pairs => merge(Merge::AllSucceeded, replies),
        Split::Values | Split::Documents => match first_error(replies) {
            Ok(replies) => in_order(parts, replies),
            Err(error) => Ok(error),
        },
    }
}

/// The reply to a command that ran on several nodes. If the rule needs all of them, and one is an error, that is the reply.
pub(super) fn merge(merge: Merge, replies: Vec<Value>) -> Result<Value, Misfit> {
    if merge == Merge::OneSucceeded {
        let is_success = |reply: &Value| !matches!(reply, Value::ServerError(_));
        let at = replies.iter().position(is_success).unwrap_or(0);
        return replies.into_iter().nth(at).ok_or(Misfit);
    }
    let replies = match first_error(replies) {
        Ok(replies) => replies,
        Err(error) => return Ok(error),
    };
    match merge {
        Merge::Sum => fold_numbers(replies, i64::saturating_add),
        Merge::Min | Merge::And => fold_numbers(replies, i64::min),
        Merge::AllSucceeded | Merge::OneSucceeded => replies.into_iter().next().ok_or(Misfit),
        Merge::Joined => {
            let elements = replies.into_iter().map(elements);
            let elements = elements.collect::<Result<Vec<_>, _>>()?;
            Ok(Value::Array(elements.into_iter().flatten().collect()))
        }
    }
}

fn first_error(replies: Vec<Value>) -> Result<Vec<Value>, Value> {
    let is_error = |reply: &Value| matches!(reply, Value::ServerError(_));
    match replies.iter().position(is_error) {
        Some(at) => Err(replies.into_iter().nth(at).expect("BUG: it was found")),
        None => Ok(replies),
    }
}

fn in_order(parts: &[Part], replies: Vec<Value>) -> Result<Value, Misfit> {
    if parts.len() != replies.len() {
        return Err(Misfit);
    }
    let all = parts.iter().map(|part| part.keys.len()).sum();
    let mut values = vec![Value::Nil; all];
    for (part, reply) in parts.iter().zip(replies) {
        let elements = elements(reply)?;
        if elements.len() != part.keys.len() {
            return Err(Misfit);
        }
        for (at, element) in part.keys.iter().zip(elements) {
            *values.get_mut(*at).ok_or(Misfit)? = element;
        }
    }
    Ok(Value::Array(values))
}

fn elements(reply: Value) -> Result<Vec<Value>, Misfit> {
    match reply {
        Value::Array(elements) | Value::Set(elements) => Ok(elements),
        _ => Err(Misfit),
    }
}

/// Combines numbers, or the numbers at each place of lists.
fn fold_numbers(replies: Vec<Value>, combine: fn(i64, i64) -> i64) -> Result<Value, Misfit> {
    let mut replies = replies.into_iter();
    let first = replies.next().ok_or(Misfit)?;
    replies.try_fold(first, |so_far, reply| combined(so_far, reply, combine))
}

fn combined(one: Value, other: Value, combine: fn(i64, i64) -> i64) -> Result<Value, Misfit> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => Ok(Value::Int(combine(one, other))),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let pairs = one.into_iter().zip(other);
            let combined = pairs.map(|(one, other)| combined(one, other, combine));
            combined.collect::<Result<_, _>>().map(Value::Array)
        }
        _ => Err(Misfit),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{policy::cluster::Route, sanitize};

    fn ints(numbers: &[i64]) -> Value {
        Value::Array(numbers.iter().copied().map(Value::Int).collect())
    }

    fn error(line: &str) -> Value {
        Value::ServerError(sanitize::from_line(line))
    }

    #[test]
    fn each_rule_makes_one_reply_of_several() {
        let int = Value::Int;
        assert_eq!(merge(Merge::Sum, vec![int(1), int(2)]), Ok(int(3)));
        assert_eq!(merge(Merge::Min, vec![int(2), int(1)]), Ok(int(1)));
        let lists = vec![ints(&[1, 0]), ints(&[0, 2])];
        assert_eq!(merge(Merge::Min, lists), Ok(ints(&[0, 0])));
        let lists = vec![ints(&[1, 1, 0]), ints(&[1, 0, 0])];
        assert_eq!(merge(Merge::And, lists), Ok(ints(&[1, 0, 0])));
        let lists = vec![ints(&[1]), ints(&[]), Value::Set(vec![int(2)])];
        assert_eq!(merge(Merge::Joined, lists), Ok(ints(&[1, 2])));
        let okays = vec![Value::Okay, Value::Okay];
        assert_eq!(merge(Merge::AllSucceeded, okays), Ok(Value::Okay));
    }

    #[test]
    fn an_error_of_one_node_is_the_reply_unless_one_success_is_enough() {
        let replies = || vec![Value::Int(1), error("ERR a"), error("ERR b")];
        for rule in [
            Merge::Sum,
            Merge::Min,
            Merge::And,
            Merge::AllSucceeded,
            Merge::Joined,
        ] {
            assert_eq!(merge(rule, replies()), Ok(error("ERR a")), "{rule:?}");
        }
        assert_eq!(merge(Merge::OneSucceeded, replies()), Ok(Value::Int(1)));
        let errors = vec![error("NOTBUSY a"), error("NOTBUSY b")];
        assert_eq!(merge(Merge::OneSucceeded, errors), Ok(error("NOTBUSY a")));
    }

    #[test]
    fn replies_that_do_not_fit_are_no_reply() {
        for (rule, replies) in [
            (Merge::Sum, vec![Value::Int(1), Value::Okay]),
            (Merge::And, vec![ints(&[1]), ints(&[1, 1])]),
            (Merge::Joined, vec![ints(&[1]), Value::Int(1)]),
            (Merge::Sum, vec![]),
            (Merge::OneSucceeded, vec![]),
            (Merge::AllSucceeded, vec![]),
        ] {
            assert_eq!(merge(rule, replies), Err(Misfit), "{rule:?}");
        }
    }

    /// A server with strings alone.
    #[derive(Clone, Default)]
    struct Model(HashMap<Vec<u8>, Vec<u8>>);

    impl Model {
        fn run(&mut self, words: &[&[u8]]) -> Value {
            let (name, keys) = (words[0], &words[1..]);
            match name {
                b"MGET" => {
                    let value = |key: &&[u8]| {
                        let value = self.0.get(*key).cloned();
                        value.map_or(Value::Nil, Value::BulkString)
                    };
                    Value::Array(keys.iter().map(value).collect())
                }
                b"MSET" => {
                    for pair in keys.chunks_exact(2) {
                        self.0.insert(pair[0].to_vec(), pair[1].to_vec());
                    }
                    Value::Okay
                }
                b"DEL" => {
                    let deleted = keys.iter().filter(|key| self.0.remove(**key).is_some());
                    count(deleted.count())
                }
                b"EXISTS" => count(keys.iter().filter(|key| self.0.contains_key(**key)).count()),
                other => panic!("{other:?}"),
            }
        }
    }

    fn count(count: usize) -> Value {
        Value::Int(count.try_into().expect("a small number"))
    }

    #[derive(Clone, Debug)]
    struct Step(Vec<String>);

    fn step() -> impl Strategy<Value = Step> {
        let key = || "[abc]{1,2}(\\{[ab]\\})?";
        let with = |name: &str, keys: Vec<String>| {
            Step([name.to_owned()].into_iter().chain(keys).collect())
        };
        prop_oneof![
            vec(key(), 1..9).prop_map(move |keys| with("MGET", keys)),
            vec(key(), 1..9).prop_map(move |keys| with("DEL", keys)),
            vec(key(), 1..9).prop_map(move |keys| with("EXISTS", keys)),
            vec((key(), "[0-9]"), 1..9).prop_map(move |pairs| {
                let words = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                with("MSET", words.collect())
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_split_command_has_the_reply_and_the_effect_that_one_server_would_have_given(
            steps in vec(step(), 1..30),
            nodes in 1_usize..5,
        ) {
            let mut whole = Model::default();
            let mut cluster = vec![Model::default(); nodes];
            let node_of = |slot: crate::policy::slots::Slot| slot.index() % nodes;
            for Step(words) in steps {
                let words: Vec<_> = words.iter().map(String::as_bytes).collect();
                let expected = whole.run(&words);
                let reply = match Route::of(words.iter().copied(), |_| None) {
                    Route::Slot(slot) => cluster[node_of(slot)].run(&words),
                    Route::Split(split) => {
                        let parts = split.parts(words.iter().copied(), node_of);
                        let run = |part: &Part| {
                            let words: Vec<_> = split.words(part, &words).collect();
                            cluster[part.node].run(&words)
                        };
                        let replies = parts.iter().map(run).collect();
                        merge_parts(split, &parts, replies).expect("replies that fit")
                    }
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!(reply, expected);
            }
            let all: HashMap<_, _> = cluster.into_iter().flat_map(|node| node.0).collect();
            prop_assert_eq!(all, whole.0);
        }
    }

    #[test]
    fn a_part_with_an_error_or_another_length_is_not_taken_for_values() {
        let words = [b"MGET".as_slice(), b"a", b"b"];
        let split = Split::Values;
        let parts = split.parts(words.into_iter(), |_| 0);
        assert_eq!(parts.len(), 2);
        let merged = |one, other| merge_parts(split, &parts, vec![one, other]);
        assert_eq!(
            merged(ints(&[1]), error("MOVED 1 h:1")),
            Ok(error("MOVED 1 h:1"))
        );
        assert_eq!(merged(ints(&[1]), ints(&[])), Err(Misfit));
        assert_eq!(merged(ints(&[1]), Value::Nil), Err(Misfit));
        assert_eq!(merge_parts(split, &parts, vec![ints(&[1])]), Err(Misfit));
    }
}
