//! The end of the program, by SIGTERM or Ctrl-C.

use std::{error::Error, time::Duration};

use actix_web::{dev::Server, rt, web::Data};
use redis_steward::{StatusPage, Supervisor};
use tokio::signal::unix::{SignalKind, signal};

use crate::updates::Viewers;

/// The time that commands in flight have.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the server until a signal comes. Then nothing is accepted any more, requests under way are finished, and the
/// connections to Redis end last.
pub async fn run(
    server: Server,
    page: StatusPage,
    viewers: Data<Viewers>,
    supervisor: Supervisor,
) -> Result<(), Box<dyn Error>> {
    let handle = server.handle();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // The server would wait for the open streams.
        page.close_streams();
        viewers.close();
        handle.stop(true).await;
    });
    server.await?;
    let report = supervisor.shutdown(GRACE).await;
    println!(
        "Stopped: {} commands completed, {} unfinished.",
        report.completed, report.unfinished
    );
    Ok(())
}
