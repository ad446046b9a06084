//! `serve`: a front for clients in any language, as a process beside them.
//!
//! - this file: the run from start to shutdown · `front`: which databases clients see, and where · `http/`: health for
//!   orchestrators

mod front;
mod http;

use std::{process::ExitCode, sync::Arc, time::Duration};

use redis_steward::{Front, HealthEvents, Supervisor};
use serde_json::json;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    arguments::ServeArguments, ending::Ending, event, failure::Failure, output::Output, target,
};
use http::{Listener, Site};

pub(crate) async fn run(arguments: ServeArguments, output: &Output) -> Result<ExitCode, Failure> {
    let config = target::of_file(&arguments.file)?;
    let numbers = front::numbers(&config, &arguments)?;
    // From here on no signal ends the process without a shutdown.
    let mut ending = Ending::new()?;
    let supervisor = Supervisor::spawn(config).await?;
    let front = front::start(&supervisor, &arguments, numbers).await?;
    let listener = Listener::open(&arguments.http, arguments.allow_remote).await?;
    let site = Site::new(supervisor.clone(), arguments.within);
    let site = Arc::new(site.map_err(|error| Failure::Run(error.to_string()))?);
    announce(&front, listener.as_ref(), output)?;
    let http = listener.map(|listener| tokio::spawn(listener.serve(site.clone())));
    let events = tokio::spawn(tell(supervisor.subscribe(), *output));
    let upkeep = tokio::spawn(keep_up(site.clone()));

    ending.asked().await;
    site.drain();
    output.message("redis-steward: ending; another signal ends it at once");
    tokio::select! {
        unfinished = stop(front, &supervisor, arguments.grace) => {
            upkeep.abort();
            finish(http, events, unfinished, output).await;
            Ok(ExitCode::SUCCESS)
        }
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
    events: JoinHandle<()>,
    unfinished: u64,
    output: &Output,
) {
    // They end with the supervisor, unless nobody reads the lines. A panic of theirs has been printed.
    let _ = timeout(Duration::from_secs(1), events).await;
    if let Some(http) = http {
        http.abort();
    }
    let told = if output.is_json {
        output.json(&json!({"type": "stopped", "unfinished": unfinished}))
    } else {
        output.line(format_args!(
            "stopped; {unfinished} commands did not finish"
        ))
    };
    // The service has ended all the same.
    let _ = told;
}

fn announce(front: &Front, listener: Option<&Listener>, output: &Output) -> Result<(), Failure> {
    let addresses = front.addresses().map(|address| address.to_string());
    let paths = front.paths().map(|path| format!("unix:{}", path.display()));
    let served: Vec<_> = addresses.chain(paths).collect();
    let http = listener.map(Listener::address).transpose()?;
    if output.is_json {
        let http = http.map(|address| address.to_string());
        output.json(&json!({"type": "listening", "front": served, "http": http}))?;
        return Ok(());
    }
    for address in served {
        output.line(format_args!("listening for clients of Redis at {address}"))?;
    }
    if let Some(address) = http {
        output.line(format_args!("listening for HTTP at http://{address}"))?;
    }
    Ok(())
}

/// Writes changes of health until the supervisor stops.
async fn tell(mut events: HealthEvents, output: Output) {
    while let Some(event) = events.next().await {
        // A service goes on when nobody reads its lines any more.
        let _ = if output.is_json {
            output.json(&event::document(&event))
        } else {
            output.line(event::line(&event, output.paint))
        };
    }
}
