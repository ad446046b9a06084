//! How the screen looks.

use std::time::{Duration, SystemTime};

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span as Styled},
    widgets::{Block, Borders, Cell, Paragraph, Row as TableRow, Table, TableState},
};

use super::{super::row::Row, model::Model};
use crate::{
    event::colour,
    output::{Colour, Paint, Span},
};

const HEADS: [&str; 10] = [
    "database",
    "state",
    "circuit",
    "p50",
    "p99",
    "calls/s",
    "server/s",
    "in flight",
    "pool",
    "last error",
];

const KEYS: &str = " ↑ ↓ choose   i isolate   r reset   q quit   (isolate and reset change this view's own \
     connections, and no other program's)";

/// Draws all. The log gets a third of the height.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, paint: Paint) {
    let areas = Layout::vertical([
        Constraint::Min(3),
        Constraint::Percentage(33),
        Constraint::Length(1),
        Constraint::Length(1),
    ]);
    let [table, log, message, keys] = areas.areas(frame.area());
    draw_table(frame, table, model, paint);
    draw_log(frame, log, model, paint);
    frame.render_widget(Paragraph::new(format!(" {}", model.message)), message);
    let dim = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(KEYS).style(dim), keys);
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let now = SystemTime::now();
    let rows: Vec<_> = model.rows.iter().map(|row| cells(row, now)).collect();
    // Columns are as wide as their texts; the state has a bound, and the last one has what is left.
    let width = |column: usize, most: usize| {
        let texts = rows.iter().map(|row| row[column].0.chars().count());
        let widest = texts.chain([HEADS[column].len()]).max().unwrap_or_default();
        Constraint::Length(u16::try_from(widest.min(most)).unwrap_or(u16::MAX))
    };
    let mut widths: Vec<_> = (0..HEADS.len() - 1)
        .map(|column| width(column, 44))
        .collect();
    widths.push(Constraint::Min(10));
    let rows = rows.iter().map(|row| {
        let cells = row.iter();
        TableRow::new(
            cells.map(|(text, colour)| Cell::new(text.as_str()).style(style(*colour, paint))),
        )
    });
    let table = Table::new(rows, widths)
        .header(TableRow::new(HEADS).style(style(Colour::Head, paint)))
        .block(
            Block::new()
                .borders(Borders::TOP)
                .title(" redis-steward watch "),
        )
        .column_spacing(2)
        // It is seen without colours, too.
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("> ");
    let mut state = TableState::new().with_selected(Some(model.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

fn cells(row: &Row, now: SystemTime) -> [(String, Colour); 10] {
    let plain = |text: String| (text, Colour::Plain);
    let time =
        |time: Option<Duration>| plain(time.map_or("-".into(), |time| Span(time).to_string()));
    [
        plain(row.name.clone()),
        (row.state.to_string(), colour(&row.state)),
        plain(row.circuit.to_string()),
        time(row.p50),
        time(row.p99),
        plain(format!("{:.0}", row.calls)),
        plain(row.load.map_or("-".into(), |load| load.to_string())),
        plain(row.in_flight.to_string()),
        plain(format!("{}/{}", row.open, row.max)),
        plain(row.last_error(now)),
    ]
}

fn draw_log(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let lines = model.log.iter().map(|(text, colour)| {
        Line::from(Styled::styled(format!(" {text}"), style(*colour, paint)))
    });
    let block = Block::new()
        .borders(Borders::TOP)
        .title(" events, newest first ");
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn style(colour: Colour, paint: Paint) -> Style {
    let plain = Style::new();
    match colour {
        Colour::Plain => plain,
        Colour::Head => plain.add_modifier(Modifier::BOLD),
        _ if !paint.is_on => plain,
        Colour::Good => plain.fg(Color::Green),
        Colour::Doubtful => plain.fg(Color::Yellow),
        Colour::Bad => plain.fg(Color::Red),
    }
}

#[cfg(test)]
mod tests;
