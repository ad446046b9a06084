//! Goal: endless input costs no memory. Method: scripted peers that write without end, and the resident
//! memory of this process.

use std::time::Duration;

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, HealthState, Supervisor};
use tokio::runtime::Builder;

use crate::{
    alone,
    common::{Script, ScriptedServer, eventually_async, proc::resident_bytes},
};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn an_endless_stream_costs_no_memory() {
    alone(&mut Builder::new_current_thread(), endless_streams());
}

async fn endless_streams() {
    for bytes in ["x", "+", ">1\r\n+push\r\n", "*1\r\n", "|1\r\n+a\r\n+b\r\n"] {
        let peer = ScriptedServer::start([Script::endless(bytes.repeat(4096))]);
        let before = resident_bytes();
        let main = DatabaseConfig::from_url(peer.url())
            .command_timeout(Duration::from_millis(500))
            .connect_timeout(Duration::from_millis(400))
            .attempt_timeout(Duration::from_millis(200));
        let config = Config::new().database("main", main);
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        let cause = first_cause(&supervisor).await;
        let main = supervisor.database("main").expect("main");
        let reply = main.query::<String>(cmd("PING")).await;
        reply.expect_err("no such server answers");
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 64 * 1024 * 1024, "{grown} bytes more: {cause}");
        assert!(
            peer.accepted() <= 30,
            "{} connections: {cause}",
            peer.accepted()
        );
        supervisor.shutdown(SOON).await;
        eventually_async(SOON, "all is closed", || peer.open() == 0).await;
    }
}

/// The cause of the first event that reports a problem.
async fn first_cause(supervisor: &Supervisor) -> String {
    let mut events = supervisor.subscribe();
    let problem = async {
        loop {
            let event = events.next().await.expect("an event");
            if let HealthState::Degraded { .. } | HealthState::Down { .. } = event.state {
                return event.cause.unwrap_or_default().to_string();
            }
        }
    };
    let problem = tokio::time::timeout(SOON, problem).await;
    problem.expect("an event with a problem")
}
