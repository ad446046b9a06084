//! SORT and SORT_RO.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{Database, Kind, List, Value},
    reply::Reply,
};

/// Elements times patterns of GET. A real server sends as many as it is asked for.
const MOST_RESULTS: usize = 1 << 24;

#[derive(Default)]
struct Options<'a> {
    by: Option<&'a Bytes>,
    gets: Vec<&'a Bytes>,
    offset: i64,
    /// Negative: no limit.
    count: i64,
    is_descending: bool,
    is_alphabetic: bool,
    target: Option<&'a Bytes>,
}

/// The order of an element among the others.
enum Weight {
    Number(f64),
    /// `None` for an element whose key does not exist.
    Text(Option<Bytes>),
}

pub(super) fn sort(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let options = Options::parse(&args[2..], true)?;
    check_cluster(cx, &options)?;
    check_rights(cx, args, &options)?;
    run(cx.db(), &args[1], options)
}

pub(super) fn sort_ro(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let options = Options::parse(&args[2..], false)?;
    check_cluster(cx, &options)?;
    check_rights(cx, args, &options)?;
    run(cx.db(), &args[1], options)
}

/// Keys that BY and GET name are known only when they are read, so a user needs the right to read all.
fn check_rights(cx: &Context<'_>, args: &[Bytes], options: &Options<'_>) -> Result<(), Halt> {
    let command = cx.engine.table.of(args);
    let user = cx.engine.user_of(cx.client);
    let users = &cx.engine.users;
    if command.is_none_or(|command| users.read_all_keys(user, command, args)) {
        return Ok(());
    }
    let looks_up_weights = options.by.is_some_and(|pattern| pattern.contains(&b'*'));
    let option = if looks_up_weights {
        "BY"
    } else if !options.gets.is_empty() {
        "GET"
    } else {
        return Ok(());
    };
    Err(Halt::error(format!(
        "ERR {option} option of SORT denied due to insufficient ACL permissions."
    )))
}

/// Keys that BY and GET name may be of any slot.
fn check_cluster(cx: &Context<'_>, options: &Options<'_>) -> Result<(), Halt> {
    if options.by.is_some_and(|pattern| pattern.contains(&b'*')) {
        cx.engine
            .refuse_in_cluster("ERR BY option of SORT denied in Cluster mode.")?;
    }
    if !options.gets.is_empty() {
        cx.engine
            .refuse_in_cluster("ERR GET option of SORT denied in Cluster mode.")?;
    }
    Ok(())
}

fn run(database: &mut Database, key: &Bytes, mut options: Options<'_>) -> Outcome {
    let (elements, is_set) = elements(database.value(key))?;
    if options.is_unsorted() && is_set && options.target.is_some() {
        // Sets have no order of their own, and a stored one has to be the same everywhere.
        (options.by, options.is_alphabetic) = (None, true);
    }
    let elements = sorted(database, elements, &options)?;
    let found = options.limited(elements);
    let results = found.len().saturating_mul(options.gets.len().max(1));
    if results > MOST_RESULTS {
        return Err(Halt::error(format!(
            "ERR SORT would have more than {MOST_RESULTS} results"
        )));
    }
    let outputs: Vec<Option<Bytes>> = if options.gets.is_empty() {
        found.into_iter().map(Some).collect()
    } else {
        let gets = |element: &Bytes| {
            let gets = options.gets.iter();
            gets.map(|pattern| look_up(database, pattern, element))
                .collect::<Vec<_>>()
        };
        found.iter().flat_map(gets).collect()
    };
    let Some(target) = options.target else {
        let replies = outputs.into_iter().map(Reply::optional);
        return Ok(Reply::Array(replies.collect()));
    };
    let count = outputs.len();
    let list: List = outputs.into_iter().map(Option::unwrap_or_default).collect();
    database.insert(target, list.into_value());
    Ok(Reply::count(count))
}

/// The elements in the order that the value has, and whether it is a set.
fn elements(value: Option<&Value>) -> Result<(Vec<Bytes>, bool), Halt> {
    match value {
        None => Ok((Vec::new(), false)),
        Some(Value::List(list)) => Ok((list.iter().cloned().collect(), false)),
        Some(Value::Set(set)) => Ok((set.iter().cloned().collect(), true)),
        Some(Value::SortedSet(set)) => {
            let members = set.iter().map(|(_, member)| member.clone());
            Ok((members.collect(), false))
        }
        Some(_) => Err(Halt::WRONG_TYPE),
    }
}

fn sorted(
    database: &mut Database,
    mut elements: Vec<Bytes>,
    options: &Options<'_>,
) -> Result<Vec<Bytes>, Halt> {
    if options.is_unsorted() {
        if options.is_descending {
            elements.reverse();
        }
        return Ok(elements);
    }
    let mut weighted = Vec::with_capacity(elements.len());
    for element in elements {
        let by = match options.by {
            Some(pattern) => look_up(database, pattern, &element),
            None => Some(element.clone()),
        };
        weighted.push((options.weight(by)?, element));
    }
    weighted.sort_by(|one, other| {
        let order = compare(one, other, options.by.is_some());
        if options.is_descending {
            order.reverse()
        } else {
            order
        }
    });
    Ok(weighted.into_iter().map(|(_, element)| element).collect())
}

/// Elements of the same number are in the order of their bytes. Those of the same text of another key are not.
fn compare(one: &(Weight, Bytes), other: &(Weight, Bytes), is_by: bool) -> Ordering {
    let (order, is_number) = match (&one.0, &other.0) {
        (Weight::Number(one), Weight::Number(other)) => {
            (one.partial_cmp(other).unwrap_or(Ordering::Equal), true)
        }
        (Weight::Text(one), Weight::Text(other)) => (one.cmp(other), false),
        (Weight::Number(_), _) => (Ordering::Less, true),
        (_, Weight::Number(_)) => (Ordering::Greater, true),
    };
    if is_number || !is_by {
        order.then_with(|| one.1.cmp(&other.1))
    } else {
        order
    }
}

/// The value that a pattern names for an element: its star stands for the element. The pattern `#` is the element
/// itself, and `key->field` a field of a hash.
fn look_up(database: &mut Database, pattern: &[u8], element: &Bytes) -> Option<Bytes> {
    if pattern == b"#" {
        return Some(element.clone());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = rest.windows(2).position(|pair| pair == b"->");
    let arrow = arrow.filter(|arrow| arrow + 2 < rest.len());
    let (postfix, field) = match arrow {
        Some(arrow) => (&rest[..arrow], Some(&rest[arrow + 2..])),
        None => (rest, None),
    };
    let key = [prefix, element, postfix].concat();
    match (database.value(&key)?, field) {
        (Value::String(bytes), None) => Some(bytes.clone()),
        (Value::Hash(hash), Some(field)) => hash.get(field).cloned(),
        _ => None,
    }
}

impl<'a> Options<'a> {
    fn parse(arguments: &'a [Bytes], is_write: bool) -> Result<Self, Halt> {
        let mut options = Self {
            count: -1,
            ..Self::default()
        };
        let mut words = Words::new(arguments);
        while let Some(word) = words.next() {
            if is(word, "ASC") {
                options.is_descending = false;
            } else if is(word, "DESC") {
                options.is_descending = true;
            } else if is(word, "ALPHA") {
                options.is_alphabetic = true;
            } else if is(word, "LIMIT") && words.len() >= 2 {
                options.offset = integer(words.expect()?)?;
                options.count = integer(words.expect()?)?;
            } else if is(word, "STORE") && is_write && !words.is_empty() {
                options.target = Some(words.expect()?);
            } else if is(word, "BY") && !words.is_empty() {
                options.by = Some(words.expect()?);
            } else if is(word, "GET") && !words.is_empty() {
                options.gets.push(words.expect()?);
            } else {
                return Err(Halt::SYNTAX);
            }
        }
        Ok(options)
    }

    /// A pattern without a star, such as `nosort`, is the same for all elements.
    fn is_unsorted(&self) -> bool {
        self.by.is_some_and(|pattern| !pattern.contains(&b'*'))
    }

    fn weight(&self, by: Option<Bytes>) -> Result<Weight, Halt> {
        if self.is_alphabetic {
            return Ok(Weight::Text(by));
        }
        let number = by.map_or(Some(0.0), |by| number(&by));
        number.map(Weight::Number).ok_or(Halt::error(
            "ERR One or more scores can't be converted into double",
        ))
    }

    fn limited(&self, elements: Vec<Bytes>) -> Vec<Bytes> {
        let skipped = usize::try_from(self.offset).unwrap_or(0);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        elements.into_iter().skip(skipped).take(count).collect()
    }
}

/// A number as `strtod` reads it: after spaces, up to a zero byte, and nothing at all is 0.
fn number(bytes: &[u8]) -> Option<f64> {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    crate::memory::number::float(text.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::memory::{
        keyspace::{Kind, List},
        tests::client::Client,
    };

    fn client(elements: &[&str]) -> Client {
        let client = Client::new();
        let list: List = elements
            .iter()
            .map(|item| Bytes::copy_from_slice(item.as_bytes()))
            .collect();
        client.store.with(|engine| {
            let database = engine.keyspace.database(0);
            database.insert(&Bytes::from("l"), list.into_value());
        });
        client
    }

    #[test]
    fn elements_are_sorted_as_numbers_or_as_text() {
        let client = client(&["3", "10", "-1", "2.5"]);
        for (command, reply) in [
            ("SORT l", "*4 $2 -1 $3 2.5 $1 3 $2 10"),
            ("SORT l DESC LIMIT 1 2", "*2 $1 3 $3 2.5"),
            ("SORT_RO l ALPHA", "*4 $2 -1 $2 10 $3 2.5 $1 3"),
            ("SORT l BY nosort LIMIT -3 -7", "*4 $1 3 $2 10 $2 -1 $3 2.5"),
            ("SORT l LIMIT 1 0", "*0"),
            ("SORT_RO l STORE m", "-ERR syntax error"),
            ("SORT l STORE m", ":4"),
            ("TYPE m", "+list"),
            ("SORT none STORE m", ":0"),
            ("EXISTS m", ":0"),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }

    #[test]
    fn results_are_bounded() {
        let elements: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        let client = client(&elements);
        let gets = " GET #".repeat(1000);
        assert_eq!(
            client.ask(&format!("SORT l{gets}")),
            "-ERR SORT would have more than 16777216 results"
        );
        let few = client.ask(&format!("SORT l LIMIT 0 2{gets}"));
        assert!(few.starts_with("*2000 $1 0 "), "{}", &few[..50]);
    }

    #[test]
    fn patterns_name_weights_and_results() {
        let client = client(&["a", "b", "c"]);
        for (command, reply) in [
            ("MSET w_a 3 w_b 1", "+OK"),
            (
                "SORT l BY w_* GET # GET w_*",
                "*6 $1 c $-1 $1 b $1 1 $1 a $1 3",
            ),
            ("SORT l BY w_* ALPHA", "*3 $1 c $1 b $1 a"),
            ("SORT l BY w_*->f ALPHA GET w_*", "*3 $1 3 $1 1 $-1"),
            (
                "SORT l",
                "-ERR One or more scores can't be converted into double",
            ),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }
}
