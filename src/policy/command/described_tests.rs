//! The commands of a real server, as it describes them itself.

use super::KeyRange;
use crate::common::{RedisServer, Reply, skip_notice, version::is_embedded};

pub(crate) fn of_the_server() -> Option<(RedisServer, Vec<Described>)> {
    if is_embedded() {
        skip_notice("the embedded server does not describe keys");
        return None;
    }
    let server = RedisServer::start();
    let mut commands = Vec::new();
    described(&server.command(&["COMMAND"]), &mut commands);
    Some((server, commands))
}

/// A command as the server describes it: name and member, arity, flags, and where its keys are.
pub(crate) struct Described {
    pub(crate) words: Vec<String>,
    arity: i64,
    flags: Vec<String>,
    pub(crate) range: KeyRange,
    /// Advice for clients, such as `request_policy:all_shards`.
    pub(crate) tips: Vec<String>,
    pub(crate) specs: Vec<Reply>,
}

fn items(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(items) => items,
        other => panic!("not a list: {other:?}"),
    }
}

fn number(reply: &Reply) -> i64 {
    match reply {
        Reply::Int(number) => *number,
        other => panic!("not a number: {other:?}"),
    }
}

/// A value of a list of names and values.
fn field<'a>(fields: &'a Reply, name: &str) -> &'a Reply {
    let mut pairs = items(fields).chunks_exact(2);
    let pair = pairs.find(|pair| pair[0].to_string() == name);
    &pair.unwrap_or_else(|| panic!("no {name} in {fields:?}"))[1]
}

fn described(commands: &Reply, found: &mut Vec<Described>) {
    for command in items(commands) {
        let fields = items(command);
        let name = fields[0].to_string();
        let position = |at: usize| isize::try_from(number(&fields[at])).expect("a position");
        let members = fields.get(9).filter(|members| !items(members).is_empty());
        if let Some(members) = members {
            described(members, found);
            continue;
        }
        found.push(Described {
            words: name.split('|').map(str::to_owned).collect(),
            arity: number(&fields[1]),
            flags: items(&fields[2]).iter().map(ToString::to_string).collect(),
            range: KeyRange::new(
                position(3).unsigned_abs(),
                position(4),
                position(5).unsigned_abs(),
            ),
            tips: fields.get(7).map_or(Vec::new(), |tips| {
                items(tips).iter().map(ToString::to_string).collect()
            }),
            specs: fields
                .get(8)
                .map_or(Vec::new(), |specs| items(specs).to_vec()),
        });
    }
}

impl Described {
    /// Words that the server accepts for the command: those of `samples` that are of it, or the numbers of the words.
    pub(crate) fn samples(&self, samples: &[(&str, &str)]) -> Vec<Vec<String>> {
        let begins = |sample: &Vec<String>| {
            let begin = sample.iter().take(self.words.len());
            begin
                .map(|word| word.to_ascii_lowercase())
                .eq(self.words.iter().cloned())
        };
        let own: Vec<_> = samples
            .iter()
            .map(|(sample, _)| sample.split(' ').map(str::to_owned).collect())
            .filter(begins)
            .filter(|sample| self.accepts(sample.len()))
            .collect();
        if !own.is_empty() {
            return own;
        }
        let least = usize::try_from(self.arity.abs()).expect("a count");
        let numbered = |len: usize| {
            let rest = (self.words.len()..len).map(|at| at.to_string());
            self.words.iter().cloned().chain(rest).collect()
        };
        (least..least + 4)
            .filter(|len| self.accepts(*len))
            .map(numbered)
            .collect()
    }

    fn accepts(&self, len: usize) -> bool {
        let len = i64::try_from(len).expect("a length");
        if self.arity < 0 {
            len >= -self.arity
        } else {
            len == self.arity
        }
    }

    pub(crate) fn is_movable(&self) -> bool {
        self.flags.iter().any(|flag| flag == "movablekeys")
    }

    /// The keys by the specifications; `None` if they do not tell all.
    pub(crate) fn specified(&self, sample: &[String]) -> Option<Vec<usize>> {
        let mut all = Vec::new();
        for spec in &self.specs {
            let begin = field(spec, "begin_search");
            let of_begin = field(begin, "spec");
            let count = |reply: &Reply| isize::try_from(number(reply)).expect("a position");
            let len = sample.len().cast_signed();
            let first = match &*field(begin, "type").to_string() {
                "index" => count(field(of_begin, "index")),
                "keyword" => {
                    let from = count(field(of_begin, "startfrom"));
                    let keyword = field(of_begin, "keyword").to_string();
                    let is_it =
                        |at: &isize| sample[at.unsigned_abs()].eq_ignore_ascii_case(&keyword);
                    let found = if from < 0 {
                        (1..=len + from).rev().find(is_it)
                    } else {
                        (from..len).find(is_it)
                    };
                    match found {
                        Some(at) => at + 1,
                        None => continue,
                    }
                }
                _ => return None,
            };
            let find = field(spec, "find_keys");
            let of_find = field(find, "spec");
            let (first, last, step) = match &*field(find, "type").to_string() {
                "range" => {
                    let (last, limit) = (
                        count(field(of_find, "lastkey")),
                        count(field(of_find, "limit")),
                    );
                    let last = match (last >= 0, limit) {
                        (true, _) => first + last,
                        (false, 2..) => first + (len - first) / limit + last,
                        (false, _) => len + last,
                    };
                    (first, last, count(field(of_find, "keystep")))
                }
                "keynum" => {
                    let number_at = first + count(field(of_find, "keynumidx"));
                    let number: isize = sample.get(number_at.unsigned_abs())?.parse().ok()?;
                    let (first, step) = (
                        first + count(field(of_find, "firstkey")),
                        count(field(of_find, "keystep")),
                    );
                    (first, first + (number - 1) * step, step)
                }
                _ => return None,
            };
            let keys = (first..=last.min(len - 1)).step_by(step.unsigned_abs());
            all.extend(keys.map(isize::unsigned_abs));
        }
        all.sort_unstable();
        all.dedup();
        Some(all)
    }
}
