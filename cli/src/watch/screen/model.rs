//! What the screen shows, and what keys do to it.

use std::collections::VecDeque;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use redis_steward::HealthEvent;

use super::super::row::Row;
use crate::{
    event::{Clock, colour},
    output::Colour,
};

/// The most lines of the event log.
const LOG: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) rows: Vec<Row>,
    pub(super) selected: usize,
    /// The newest comes first.
    pub(super) log: VecDeque<(String, Colour)>,
    /// The answer to the last key.
    pub(super) message: String,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    Isolate(String),
    Reset(String),
    Quit,
}

impl Model {
    pub(super) fn show(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
    }

    pub(super) fn note(&mut self, event: &HealthEvent) {
        let line = format!("{} {event}", Clock(event.at));
        self.log.push_front((line, colour(&event.state)));
        self.log.truncate(LOG);
        // The state is not a second behind the log.
        let mut rows = self.rows.iter_mut();
        if let Some(row) = rows.find(|row| *row.name == *event.database) {
            row.state = event.state.clone();
            row.circuit = event.circuit;
        }
    }

    pub(super) fn say(&mut self, message: String) {
        self.message = message;
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Option<Order> {
        let selected = self.rows.get(self.selected).map(|row| row.name.clone());
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => {
                self.selected = self.selected.saturating_sub(1);
                None
            }
            KeyCode::Down | KeyCode::Char('j') => {
                self.selected = (self.selected + 1).min(self.rows.len().saturating_sub(1));
                None
            }
            KeyCode::Char('i') => selected.map(Order::Isolate),
            KeyCode::Char('r') => selected.map(Order::Reset),
            KeyCode::Char('q') | KeyCode::Esc => Some(Order::Quit),
            // The terminal hands it over as a key instead of sending a signal.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                Some(Order::Quit)
            }
            _ => None,
        }
    }
}
