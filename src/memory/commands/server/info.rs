//! INFO: the fields that the server can state.

use std::fmt::Write;

use bytes::Bytes;

use super::{super::connection::VERSION, config};
use crate::memory::{
    arguments::is, context::Context, engine::Engine, halt::Outcome, keyspace::Millis, reply::Reply,
    session::Session, subscriptions::Kind,
};

/// When a section is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    ByDefault,
    /// With `all` and `everything`.
    WithAll,
    /// By default, and with `everything`.
    ExceptWithAll,
}

/// Writes the fields of a section.
type Fields = fn(&Engine, Millis) -> String;

struct Section {
    name: &'static str,
    shown: Shown,
    fields: Fields,
}

/// In the order in which they are shown.
const SECTIONS: [Section; 12] = {
    use Shown::{ByDefault, ExceptWithAll, WithAll};
    const fn section(name: &'static str, shown: Shown, fields: Fields) -> Section {
        Section {
            name,
            shown,
            fields,
        }
    }
    [
        section("Server", ByDefault, server),
        section("Clients", ByDefault, clients),
        section("Memory", ByDefault, memory),
        section("Persistence", ByDefault, persistence),
        section("Stats", ByDefault, stats),
        section("Replication", ByDefault, replication),
        section("CPU", ByDefault, nothing),
        section("Modules", ExceptWithAll, nothing),
        section("Commandstats", WithAll, commandstats),
        section("Errorstats", ByDefault, errorstats),
        section("Cluster", ByDefault, cluster),
        section("Keyspace", ByDefault, keyspace),
    ]
};

pub(super) fn info(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let names = &args[1..];
    let names_it = |word: &str| names.iter().any(|name| is(name, word));
    let is_wanted = |section: &Section| {
        let with_all = names_it("all") && section.shown != Shown::ExceptWithAll;
        let by_default =
            (names.is_empty() || names_it("default")) && section.shown != Shown::WithAll;
        names_it(section.name) || names_it("everything") || with_all || by_default
    };
    let sections = SECTIONS.iter().filter(|section| is_wanted(section));
    let sections: Vec<String> = sections
        .map(|section| {
            let fields = (section.fields)(cx.engine, cx.now);
            format!("# {}\r\n{fields}", section.name)
        })
        .collect();
    Ok(Reply::Verbatim(sections.join("\r\n").into()))
}

/// Lines of fields and values.
fn lines(fields: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut lines = String::new();
    for (field, value) in fields {
        // Nothing fails to be written into a string.
        let _ = write!(lines, "{field}:{value}\r\n");
    }
    lines
}

fn server(engine: &Engine, now: Millis) -> String {
    let uptime = now.saturating_sub(engine.started_at) / 1000;
    lines(&[
        ("redis_version", &VERSION),
        ("redis_mode", &engine.mode()),
        ("os", &std::env::consts::OS),
        ("arch_bits", &usize::BITS),
        ("process_id", &std::process::id()),
        ("run_id", &engine.run_id),
        ("tcp_port", &engine.settings.port),
        ("server_time_usec", &engine.clock.now().as_micros()),
        ("uptime_in_seconds", &uptime),
        ("uptime_in_days", &(uptime / (24 * 60 * 60))),
        ("config_file", &""),
    ])
}

fn clients(engine: &Engine, _: Millis) -> String {
    let is_blocked = |session: &&Session| session.waiting.is_some() || session.held.is_some();
    let has_deadline = |session: &&Session| {
        let waiting = session.waiting.as_ref();
        waiting.is_some_and(|waiting| waiting.deadline.is_some())
    };
    lines(&[
        ("connected_clients", &engine.clients().count()),
        ("cluster_connections", &0),
        ("maxclients", &engine.settings.max_clients),
        (
            "blocked_clients",
            &engine.clients().filter(is_blocked).count(),
        ),
        ("tracking_clients", &engine.trackers.clients().len()),
        (
            "clients_in_timeout_table",
            &engine.clients().filter(has_deadline).count(),
        ),
    ])
}

fn memory(engine: &Engine, _: Millis) -> String {
    let (used, most) = (
        engine.settings.used_bytes(&engine.keyspace),
        engine.settings.max_bytes,
    );
    lines(&[
        ("used_memory", &used),
        ("used_memory_human", &human(used)),
        ("used_memory_dataset", &used),
        ("maxmemory", &most),
        ("maxmemory_human", &human(most)),
        ("maxmemory_policy", &config::policy(&engine.settings)),
        ("active_defrag_running", &0),
        ("lazyfree_pending_objects", &0),
    ])
}

fn human(bytes: usize) -> String {
    const UNITS: [(u32, char); 4] = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    let unit = UNITS.iter().find(|(power, _)| bytes >> power > 0);
    unit.map_or(format!("{bytes}B"), |(power, unit)| {
        format!("{:.2}{unit}", bytes as f64 / (1u64 << power) as f64)
    })
}

fn persistence(engine: &Engine, _: Millis) -> String {
    lines(&[
        ("loading", &u8::from(engine.faults.is_loading)),
        ("async_loading", &0),
        ("rdb_bgsave_in_progress", &0),
        ("rdb_last_save_time", &(engine.started_at / 1000)),
        ("rdb_last_bgsave_status", &"ok"),
        ("rdb_last_bgsave_time_sec", &-1),
        ("rdb_saves", &0),
        ("aof_enabled", &0),
        ("aof_rewrite_in_progress", &0),
        ("aof_last_bgrewrite_status", &"ok"),
        ("aof_last_write_status", &"ok"),
    ])
}

fn stats(engine: &Engine, _: Millis) -> String {
    let statistics = &engine.statistics;
    let channels = |kind| engine.channels.of(kind).len();
    lines(&[
        ("total_connections_received", &statistics.connections),
        ("total_commands_processed", &statistics.commands),
        ("instantaneous_ops_per_sec", &0),
        ("rejected_connections", &statistics.rejected_connections),
        ("sync_full", &0),
        ("sync_partial_ok", &0),
        ("sync_partial_err", &0),
        (
            "expired_keys",
            &(engine.keyspace.expired() - statistics.expired_before),
        ),
        ("evicted_keys", &engine.settings.evicted),
        ("evicted_clients", &0),
        ("pubsub_channels", &channels(Kind::Channel)),
        ("pubsub_patterns", &channels(Kind::Pattern)),
        ("pubsubshard_channels", &channels(Kind::Shard)),
        ("latest_fork_usec", &0),
        ("total_forks", &0),
        ("tracking_total_keys", &engine.trackers.keys()),
        ("tracking_total_items", &engine.trackers.items()),
        ("unexpected_error_replies", &0),
        ("total_error_replies", &statistics.error_replies),
    ])
}

fn replication(engine: &Engine, _: Millis) -> String {
    lines(&[
        ("role", &"master"),
        ("connected_slaves", &0),
        ("master_failover_state", &"no-failover"),
        ("master_replid", &engine.run_id),
        ("master_replid2", &"0".repeat(40)),
        ("master_repl_offset", &0),
        ("second_repl_offset", &-1),
        ("repl_backlog_active", &0),
        ("repl_backlog_histlen", &0),
    ])
}

/// The server has no figures of its own: it runs on the threads of the application.
fn nothing(_: &Engine, _: Millis) -> String {
    String::new()
}

/// Times are not measured, and stated as 0.
fn commandstats(engine: &Engine, _: Millis) -> String {
    let mut lines = String::new();
    for (command, calls) in engine.statistics.calls(engine.table) {
        let _ = write!(
            lines,
            "cmdstat_{}:calls={},usec=0,usec_per_call=0.00,rejected_calls={},failed_calls={}\r\n",
            command.name, calls.calls, calls.rejected, calls.failed
        );
    }
    lines
}

fn errorstats(engine: &Engine, _: Millis) -> String {
    let errors = engine.statistics.errors.iter();
    errors
        .map(|(code, count)| format!("errorstat_{code}:count={count}\r\n"))
        .collect()
}

fn cluster(engine: &Engine, _: Millis) -> String {
    lines(&[("cluster_enabled", &u8::from(engine.cluster.is_some()))])
}

fn keyspace(engine: &Engine, _: Millis) -> String {
    let databases = engine.keyspace.databases().iter().enumerate();
    databases
        .filter(|(_, database)| database.len() > 0)
        .map(|(number, database)| {
            let (keys, expiring) = (database.len(), database.expiring());
            format!("db{number}:keys={keys},expires={expiring},avg_ttl=0\r\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::human;
    use crate::memory::tests::client::Client;

    fn section(client: &Client, name: &str) -> String {
        let info = client.ask(&format!("INFO {name}"));
        info.split_once("# ")
            .map_or(info.clone(), |(_, rest)| rest.into())
    }

    #[test]
    fn bytes_are_shown_for_people() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1536), "1.50K");
        assert_eq!(human(5 << 30), "5.00G");
    }

    #[test]
    fn sections_are_chosen() {
        let client = Client::new();
        let titles = |question: &str| -> String {
            let info = client.ask(question);
            let words: Vec<&str> = info.split(' ').collect();
            let titles = words.windows(2).filter(|pair| pair[0].ends_with('#'));
            titles.map(|pair| pair[1].to_owned() + " ").collect()
        };
        let default = "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster \
                       Keyspace ";
        assert_eq!(titles("INFO"), default);
        assert_eq!(titles("INFO default"), default);
        let everything = default.replace("Modules ", "Modules Commandstats ");
        assert_eq!(titles("INFO everything"), everything);
        assert_eq!(titles("INFO all"), everything.replace("Modules ", ""));
        assert_eq!(titles("INFO keyspace SERVER nonsense"), "Server Keyspace ");
        assert_eq!(client.ask("INFO nonsense"), "$0 ");
    }

    #[test]
    fn what_has_happened_is_counted() {
        let client = Client::new();
        client.ask("SET a 1");
        client.ask("SET b 1 EX 100");
        client.ask("GET");
        client.ask("LPUSH");
        client.ask("INCRBY a x");
        let info = section(&client, "commandstats");
        assert!(info.contains(
            "cmdstat_set:calls=2,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0"
        ));
        assert!(info.contains(
            "cmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"
        ));
        assert!(info.contains(
            "cmdstat_incrby:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"
        ));
        assert!(section(&client, "errorstats").contains("errorstat_ERR:count=3"));
        assert!(section(&client, "keyspace").contains("db0:keys=2,expires=1,avg_ttl=0"));
        assert_eq!(client.ask("CONFIG RESETSTAT"), "+OK");
        assert!(section(&client, "errorstats").ends_with("Errorstats "));
        assert!(section(&client, "persistence").contains("loading:0"));
    }
}
