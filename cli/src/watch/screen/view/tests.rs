//! The screen is drawn into a buffer and read.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use redis_steward::{CircuitState, Config, HealthState, Supervisor};

use super::{
    super::model::{Model, Order},
    *,
};

fn row(name: &str, state: HealthState) -> Row {
    Row {
        name: name.into(),
        state,
        circuit: CircuitState::Closed,
        p50: Some(Duration::from_micros(200)),
        p99: Some(Duration::from_millis(5)),
        calls: 10.2,
        load: None,
        in_flight: 3,
        open: 1,
        max: 50,
        last_error: None,
    }
}

fn model() -> Model {
    let mut model = Model::default();
    let rows = [
        ("cache", HealthState::Isolated),
        ("main", HealthState::Healthy),
    ];
    model.show(rows.map(|(name, state)| row(name, state)).into());
    model
}

fn drawn(model: &Model, is_coloured: bool, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let paint = Paint { is_on: is_coloured };
    terminal
        .draw(|frame| draw(frame, model, paint))
        .expect("a frame");
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let cells = buffer.content().chunks(buffer.area.width.into());
    let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect();
    cells.map(line).collect()
}

fn press(model: &mut Model, code: KeyCode) -> Option<Order> {
    model.press(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn each_database_has_a_line_and_the_chosen_one_is_marked() {
    let mut model = model();
    assert_eq!(press(&mut model, KeyCode::Down), None);
    let lines = lines(&drawn(&model, false, (120, 16)));
    let heads = &lines[1];
    assert!(HEADS.iter().all(|head| heads.contains(head)), "{heads}");
    assert!(lines[2].starts_with("  cache     isolated"), "{lines:#?}");
    let main = lines[3].split_whitespace().collect::<Vec<_>>();
    let expected = [
        ">", "main", "healthy", "closed", "200µs", "5ms", "10", "-", "3", "1/50",
    ];
    assert_eq!(main, expected);
    assert!(
        lines[15]
            .contains("i isolate   r reset   q quit   (isolate and reset change this view's own")
    );
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let colours = |is_coloured| {
        let buffer = drawn(&model(), is_coloured, (120, 16));
        let coloured = buffer
            .content()
            .iter()
            .filter(|cell| cell.fg != Color::Reset);
        coloured.count()
    };
    assert_eq!(colours(false), 0);
    assert!(colours(true) > 0);
}

#[test]
fn a_small_or_empty_screen_is_drawn_without_a_panic() {
    for size in [(1, 1), (20, 5), (80, 8), (0, 0)] {
        drawn(&model(), true, size);
        drawn(&Model::default(), true, size);
    }
}

#[test]
fn keys_choose_and_order() {
    let mut model = model();
    assert_eq!(press(&mut model, KeyCode::Up), None);
    assert_eq!(
        press(&mut model, KeyCode::Char('i')),
        Some(Order::Isolate("cache".into()))
    );
    for _ in 0..3 {
        press(&mut model, KeyCode::Down);
    }
    assert_eq!(
        press(&mut model, KeyCode::Char('r')),
        Some(Order::Reset("main".into()))
    );
    assert_eq!(press(&mut model, KeyCode::Char('x')), None);
    assert_eq!(press(&mut model, KeyCode::Char('q')), Some(Order::Quit));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(model.press(interrupt), Some(Order::Quit));
    assert_eq!(press(&mut Model::default(), KeyCode::Char('i')), None);
}

#[tokio::test]
async fn events_are_logged_and_change_the_state_at_once() {
    let supervisor = Supervisor::spawn(Config::single("memory://"))
        .await
        .expect("spawn");
    let mut events = supervisor.subscribe();
    let mut model = Model::default();
    model.show(vec![row("main", HealthState::Starting)]);
    while model.rows[0].state != HealthState::Healthy {
        model.note(&events.next().await.expect("an event"));
    }
    let lines = lines(&drawn(&model, false, (120, 16)));
    let log = lines
        .iter()
        .position(|line| line.contains("events, newest first"));
    let newest = &lines[log.expect("a log") + 1];
    assert!(
        newest.contains("main: healthy, circuit closed"),
        "{lines:#?}"
    );
}
