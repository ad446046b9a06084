//! A watch as a table that fills the terminal.
//!
//! - this file: the loop · `keys`: what is pressed · `model`: what is shown, and what keys do to it · `view`: how it looks · `terminal`: the
//!   terminal, which is as before afterwards

mod keys;
mod model;
mod terminal;
mod view;

use std::{future::pending, time::Duration};

use crossterm::event::{Event, KeyEventKind};
use redis_steward::Supervisor;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::sample::Sampler;
use crate::{arguments::WatchArguments, ending::Ending, failure::Failure, output::Paint};
use keys::Keys;
use model::{Model, Order};
use terminal::Screen;

/// The numbers are those of the last second.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Shows the table until the user has seen enough.
pub(super) async fn run(
    supervisor: &Supervisor,
    mut sampler: Sampler,
    arguments: &WatchArguments,
    paint: Paint,
) -> Result<(), Failure> {
    let mut events = supervisor.subscribe();
    let mut ending = Ending::new()?;
    let mut ticks = interval_at(Instant::now() + SAMPLE_INTERVAL, SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let over = async {
        match arguments.duration {
            Some(duration) => sleep(duration).await,
            None => pending().await,
        }
    };
    tokio::pin!(over);
    let mut model = Model::default();
    // There is something to choose from the first moment on.
    model.show(sampler.take().rows);
    let mut screen = Screen::open()?;
    let mut keys = Keys::read()?;
    loop {
        screen.draw(|frame| view::draw(frame, &model, paint))?;
        tokio::select! {
            event = events.next() => match event {
                Some(event) => model.note(&event),
                None => return Ok(()),
            },
            _ = ticks.tick() => model.show(sampler.take().rows),
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    match model.press(key) {
                        Some(Order::Quit) => return Ok(()),
                        Some(order) => model.say(carry_out(supervisor, &order).await),
                        None => {}
                    }
                }
                // Another size is drawn at once.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            () = ending.asked() => return Ok(()),
            () = &mut over => return Ok(()),
        }
    }
}

/// The answer is a sentence for the user.
async fn carry_out(supervisor: &Supervisor, order: &Order) -> String {
    let (name, done, what) = match order {
        Order::Isolate(name) => (name, supervisor.isolate(name.as_str()).await, "isolated"),
        Order::Reset(name) => (name, supervisor.reset(name.as_str()).await, "reset"),
        Order::Quit => return String::new(),
    };
    match done {
        Ok(()) => format!("{name} is {what} in this view only; no other program notices"),
        Err(error) => error.to_string(),
    }
}
