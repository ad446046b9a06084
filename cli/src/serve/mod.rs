//! `serve`: a front for clients in any language, as a process beside them.
//!
//! - this file: the run from start to shutdown · `front`: which databases clients see, and where · `http/`: health for
//!   orchestrators · `teller`: lines for a reader who may not read

mod front;
mod http;
mod teller;

use std::{process::ExitCode, sync::Arc, time::Duration};

use redis_steward::{Front, HealthEvents, Supervisor};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::{
    arguments::ServeArguments, ending::Ending, event, failure::Failure, output::Output, target,
};
use http::{Listener, Site};
use teller::Teller;

/// The longest wait at the end for readers of lines.
const LINES_WITHIN: Duration = Duration::from_secs(1);

pub(crate) async fn run(arguments: ServeArguments, output: &Output) -> Result<ExitCode, Failure> {
    let Err(failure) = serve(arguments, output).await else {
        return Ok(ExitCode::SUCCESS);
    };
    // Also this may find that nobody reads.
    let output = *output;
    let reported = tokio::task::spawn_blocking(move || failure.report(&output));
    let code = timeout(LINES_WITHIN, reported).await;
    Ok(code.map_or(ExitCode::FAILURE, |code| code.unwrap_or(ExitCode::FAILURE)))
}

async fn serve(arguments: ServeArguments, output: &Output) -> Result<(), Failure> {
    let config = target::of_file(&arguments.file)?;
    let numbers = front::numbers(&config, &arguments)?;
    // From here on no signal ends the process without a shutdown.
    let mut ending = Ending::new()?;
    let supervisor = Supervisor::spawn(config).await?;
    let front = front::start(&supervisor, &arguments, numbers).await?;
    let listener = Listener::open(&arguments.http, arguments.allow_remote).await?;
    let site = Site::new(supervisor.clone(), arguments.within);
    let site = Arc::new(site.map_err(|error| Failure::Run(error.to_string()))?);
    let output = *output;
    // A service goes on when nobody reads its lines any more.
    let results = Teller::start(move |line| drop(output.line(line)))?;
    let messages = Teller::start(move |message| output.message(message))?;
    announce(&front, listener.as_ref(), &results, &output)?;
    let http = listener.map(|listener| tokio::spawn(listener.serve(site.clone())));
    let events = tokio::spawn(tell(supervisor.subscribe(), results.lines(), output));
    let upkeep = tokio::spawn(keep_up(site.clone()));

    ending.asked().await;
    site.drain();
    messages.tell("redis-steward: ending; another signal ends it at once");
    let end = async {
        let unfinished = stop(front, &supervisor, arguments.grace).await;
        upkeep.abort();
        finish(http, events, unfinished, results, &output).await;
        messages.finish(LINES_WITHIN).await;
    };
    tokio::select! {
        () = end => Ok(()),
        () = ending.asked() => Err(Failure::Run("ended before the shutdown was over".into())),
    }
}

async fn keep_up(site: Arc<Site>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        site.keep_up();
    }
}

/// Returns the number of commands that did not finish.
async fn stop(front: Front, supervisor: &Supervisor, grace: Duration) -> u64 {
    front.stop().await;
    supervisor.shutdown(grace).await.unfinished
}

async fn finish(
    http: Option<JoinHandle<()>>,
    mut events: JoinHandle<()>,
    unfinished: u64,
    results: Teller,
    output: &Output,
) {
    // They end with the supervisor, unless nobody reads the lines. A panic of theirs has been printed.
    if timeout(LINES_WITHIN, &mut events).await.is_err() {
        events.abort();
    }
    if let Some(http) = http {
        http.abort();
    }
    let stopped = if output.is_json {
        json!({"type": "stopped", "unfinished": unfinished}).to_string()
    } else {
        format!("stopped; {unfinished} commands did not finish")
    };
    // The service has ended all the same.
    let _ = timeout(LINES_WITHIN, results.lines().send(stopped)).await;
    results.finish(LINES_WITHIN).await;
}

fn announce(
    front: &Front,
    listener: Option<&Listener>,
    results: &Teller,
    output: &Output,
) -> Result<(), Failure> {
    let addresses = front.addresses().map(|address| address.to_string());
    let paths = front.paths().map(|path| format!("unix:{}", path.display()));
    let served: Vec<_> = addresses.chain(paths).collect();
    let http = listener.map(Listener::address).transpose()?;
    if output.is_json {
        let http = http.map(|address| address.to_string());
        let listening = json!({"type": "listening", "front": served, "http": http});
        results.tell(listening.to_string());
        return Ok(());
    }
    for address in served {
        results.tell(format!("listening for clients of Redis at {address}"));
    }
    if let Some(address) = http {
        results.tell(format!("listening for HTTP at http://{address}"));
    }
    Ok(())
}

/// Tells changes of health until the supervisor stops. A reader that is slow misses events, and learns how many.
async fn tell(mut events: HealthEvents, lines: mpsc::Sender<String>, output: Output) {
    while let Some(event) = events.next().await {
        let line = if output.is_json {
            event::document(&event).to_string()
        } else {
            event::line(&event, output.paint)
        };
        if lines.send(line).await.is_err() {
            return;
        }
    }
}
