//! A configuration as a tree, whatever notation it was written in.

use crate::config::position::FilePosition;

/// A value, and the place where it begins.
#[derive(Clone, Debug)]
pub(in crate::config) struct Node {
    pub(in crate::config) content: Content,
    /// `None` for what does not come from a file.
    pub(in crate::config) at: Option<FilePosition>,
}

#[derive(Clone, Debug)]
pub(in crate::config) enum Content {
    /// Nothing, which counts as left out.
    Empty,
    /// A single value.
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(in crate::config) struct Entry {
    pub(in crate::config) key: String,
    /// The place of the key.
    pub(in crate::config) at: Option<FilePosition>,
    pub(in crate::config) value: Node,
}

impl Node {
    /// What it is, for messages about another kind.
    pub(in crate::config) fn kind(&self) -> &'static str {
        match self.content {
            Content::Empty => "empty",
            Content::Text(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}
