//! YAML to a tree, with the place of every value. It goes on after a problem where it can, so that all are found.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{
    keys,
    node::{Content, Entry, Node},
};
use crate::config::{Problem, excerpt::quoted, position::FilePosition};

/// The most nested levels, and the most values with repeated ones counted. Repetition by aliases could make a small
/// file endless otherwise.
const DEEPEST: usize = 32;
const MOST_NODES: usize = 500_000;

/// The tree of a YAML text. `None` if there is none, which the problems explain, or if the text is empty.
pub(super) fn parse(text: &str, file: &Arc<str>, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut builder = Builder {
        file,
        problems,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
        nodes: 0,
        is_hopeless: false,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let at = Some(builder.position(error.marker().line(), error.marker().col()));
                builder.fail(at, format!("is no valid YAML: {}", error.info()));
            }
        }
        if builder.is_hopeless {
            return None;
        }
    }
    builder.root
}

/// A list or a map of which the end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Option<FilePosition>)>,
}

struct Builder<'a> {
    file: &'a Arc<str>,
    problems: &'a mut Vec<Problem>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    is_hopeless: bool,
}

impl Builder<'_> {
    fn position(&self, line: usize, column: usize) -> FilePosition {
        // The parser counts columns from 0.
        FilePosition::new(self.file.clone(), line, column + 1)
    }

    fn at(&self, span: Span) -> Option<FilePosition> {
        Some(self.position(span.start.line(), span.start.col()))
    }

    fn problem(&mut self, at: Option<FilePosition>, message: impl Into<String>) {
        self.problems
            .push(Problem::new(None, "file", message).at(at));
    }

    /// A problem after which nothing can be read.
    fn fail(&mut self, at: Option<FilePosition>, message: impl Into<String>) {
        self.problem(at, message);
        self.is_hopeless = true;
    }

    fn take(&mut self, event: Event<'_>, span: Span) {
        let at = self.at(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.fail(at, "holds a second document after ---; write one");
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), at.as_ref());
                let content = scalar(text, style);
                self.add(Node { content, at }, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), at.as_ref());
                self.begin(Content::List(Vec::new()), at, anchor);
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), at.as_ref());
                self.begin(Content::Map(Vec::new()), at, anchor);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.nodes += size(&node);
                    self.add(node, 0);
                }
                None => self.fail(at, "repeats a value within itself"),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    /// A tag such as `!vault` says that the text is not the value. Those of YAML itself say what it looks like.
    fn check_tag(&mut self, tag: Option<&Tag>, at: Option<&FilePosition>) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let tag = quoted(&format!("{}{}", tag.handle, tag.suffix));
            self.problem(
                at.cloned(),
                format!("has the tag {tag}, which is not known here"),
            );
        }
    }

    fn begin(&mut self, content: Content, at: Option<FilePosition>, anchor: usize) {
        if self.open.len() == DEEPEST {
            return self.fail(at, format!("is nested in more than {DEEPEST} levels"));
        }
        let node = Node { content, at };
        self.open.push(Open {
            node,
            anchor,
            key: None,
        });
    }

    fn end(&mut self) {
        if let Some(Open {
            mut node, anchor, ..
        }) = self.open.pop()
        {
            if let Content::Map(entries) = &mut node.content
                && let Some(at) = merge(entries)
            {
                self.problem(at, "merges something that is no map");
            }
            self.add(node, anchor);
        }
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Node, anchor: usize) {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return self.fail(node.at, format!("has more than {MOST_NODES} values"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut parent.node.content {
            Content::List(items) => items.push(node),
            Content::Map(entries) => match parent.key.take() {
                None => match key_of(&node) {
                    Some(key) => parent.key = Some((key, node.at)),
                    None => self.fail(node.at, "has a key that is no text"),
                },
                Some((key, at)) => {
                    let first = entries
                        .iter()
                        .find(|entry| entry.key == key && key != MERGE);
                    match first.map(|first| first.at.as_ref().map_or(0, FilePosition::line)) {
                        None => entries.push(Entry {
                            key,
                            at,
                            value: node,
                        }),
                        Some(line) => {
                            let message = format!(
                                "gives the key {} twice, first in line {line}",
                                keys::shown(&key)
                            );
                            self.problem(at, message);
                        }
                    }
                }
            },
            Content::Empty | Content::Text(_) => {}
        }
    }
}

/// A single value. An unquoted one may stand for nothing.
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Content {
    let is_empty = ["", "~", "null", "Null", "NULL"].contains(&&*text);
    if style == ScalarStyle::Plain && is_empty {
        Content::Empty
    } else {
        Content::Text(text.into_owned())
    }
}

fn key_of(node: &Node) -> Option<String> {
    match &node.content {
        Content::Text(text) => Some(text.clone()),
        Content::Empty => Some(String::new()),
        Content::List(_) | Content::Map(_) => None,
    }
}

fn size(node: &Node) -> usize {
    match &node.content {
        Content::Empty | Content::Text(_) => 1,
        Content::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Content::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| size(&entry.value))
                .sum::<usize>()
        }
    }
}

/// The key by which a map takes over the entries of others (YAML's merge key).
const MERGE: &str = "<<";

/// Takes over the entries of merged maps. The map's own are stronger, then those of earlier ones. Returns the place of
/// something else than a map.
fn merge(entries: &mut Vec<Entry>) -> Option<Option<FilePosition>> {
    let (merged, mut own): (Vec<_>, Vec<_>) = std::mem::take(entries)
        .into_iter()
        .partition(|entry| entry.key == MERGE);
    let mut wrong = None;
    for Entry { value, .. } in merged {
        let maps = match value.content {
            Content::List(maps) => maps,
            _ => vec![value],
        };
        for map in maps {
            let Content::Map(theirs) = map.content else {
                wrong = Some(map.at);
                continue;
            };
            let is_new = |entry: &Entry| !own.iter().any(|known| known.key == entry.key);
            let new: Vec<_> = theirs.into_iter().filter(is_new).collect();
            own.extend(new);
        }
    }
    *entries = own;
    wrong
}
