//! The command line.

use std::{
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, value_parser};

/// Checks, explains, watches, measures and serves the Redis databases of a redis-steward configuration.
#[derive(Debug, Parser)]
#[command(name = "redis-steward", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Print JSON: one document, or one for each line of a stream.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a file, its servers and the rights of its users, for instance in CI.
    ///
    /// Each database is dialled and logged in to, its server is asked how it is, and what redis-steward needs of the
    /// user's rights is tried: by ACL DRYRUN where the server permits that (Redis 7 or later), and else by commands that
    /// change nothing.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArguments),
    /// Show each setting with its value and the place that it comes from.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArguments),
    /// Show the health of databases live: a table on a terminal, and lines elsewhere.
    ///
    /// The watch has connections of its own. It pings each database, and the latencies are those of its pings. The column
    /// server/s has the commands of all clients, as the server tells them (INFO). Isolating and resetting a database
    /// concern the watch's own connections, and no other program's.
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(WatchArguments),
    /// Measure the throughput and the latency of a server, beside redis-benchmark if that is installed.
    ///
    /// Callers send GET and SET over redis-steward, one command after the other. The keys begin with redis-steward-bench:
    /// and a random number; they are removed at the end, also at Ctrl-C, and expire in any case. All values together are 1 GiB
    /// at most, and those that all clients send at a time 256 MiB. redis-benchmark then
    /// sends as many commands to the same keys, first all SET and then all GET, over one connection for each client. Both
    /// put load on the server.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArguments),
    /// Serve the databases of a file to clients of Redis in any language, as a process beside them.
    ///
    /// Clients speak to it as to a server, and each command runs as a call of redis-steward: over its pool, with its
    /// deadlines, retries and circuit breaker. So a client that knows nothing of these gets an error in time during an
    /// outage, and keeps its connection. SELECT enters the database with that number in the file.
    ///
    /// HTTP: /health asks the servers and answers with JSON; /ready and /live tell what is known. Each answers with 503
    /// if the verdict is no. /metrics is for a Prometheus server. SIGTERM and SIGINT end it: /ready turns to 503, clients are disconnected, and commands that
    /// are under way have the grace. A second signal ends it at once.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArguments),
}

const EXAMPLES: &str = "\
Examples:
  redis-steward check config/redis-databases.yaml
  redis-steward explain config/redis-databases.yaml
  redis-steward watch redis://localhost redis://localhost:6380

Exit codes: 0 if all is well, 1 if something is not, 2 for a bad file or bad usage.
Results are written to stdout and messages to stderr. Colours appear only on a terminal, and not if NO_COLOR is set.";

/// A configuration file.
#[derive(Debug, Args)]
pub(crate) struct File {
    /// A YAML file of databases.
    pub(crate) file: PathBuf,

    /// Let variables of the environment, such as REDIS_PASSWORD or REDIS_STEWARD_MAIN_HOST, overrule the file, as in a
    /// program that uses Config::load.
    #[arg(long)]
    pub(crate) env: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) file: File,

    /// The longest wait for a server. A number is in seconds; 500ms and 1min are durations, too.
    #[arg(long, value_name = "DURATION", default_value = "5", value_parser = duration)]
    pub(crate) within: Duration,

    /// Exit with 1 also if a right is missing, or if there is a note about the file.
    #[arg(long)]
    pub(crate) strict: bool,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  redis-steward check config/redis-databases.yaml
  redis-steward check --within 2 --strict config/redis-databases.yaml
  redis-steward check --json config/redis-databases.yaml | jq '.databases[] | select(.ok | not)'

Exit codes: 0 if all databases are ready, 1 if one is not, 2 if the file cannot be used.";

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(crate) file: File,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  redis-steward explain config/redis-databases.yaml
  REDIS_STEWARD_MAIN_HOST=db1 redis-steward explain --env config/redis-databases.yaml
  redis-steward explain --json config/redis-databases.yaml | jq '.settings[] | select(.origin != \"default\")'

Secrets are shown as ***. Exit codes: 0 if the file can be used, 2 if not.";

#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// A YAML file of databases, or URLs of databases. A URL is named by its address.
    #[arg(required = true, value_name = "FILE|URL")]
    pub(crate) targets: Vec<String>,

    /// Let variables of the environment overrule the file.
    #[arg(long)]
    pub(crate) env: bool,

    /// Write lines on a terminal as well: one for each change of health, and a summary each interval.
    #[arg(long)]
    pub(crate) lines: bool,

    /// The time between two summaries.
    #[arg(long, value_name = "DURATION", default_value = "10", value_parser = duration)]
    pub(crate) interval: Duration,

    /// The time between two pings of a database.
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = duration)]
    pub(crate) ping: Duration,

    /// End after this time. By default, the watch ends at q, Ctrl-C or SIGTERM.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
}

const WATCH_EXAMPLES: &str = "\
Examples:
  redis-steward watch config/redis-databases.yaml
  redis-steward watch redis://localhost redis://localhost:6380/5
  redis-steward watch --lines --interval 1min config/redis-databases.yaml >> health.log
  redis-steward watch --json --for 10 redis://localhost | jq 'select(.type == \"event\")'

Keys of the table: arrows choose a database, i isolates it, r resets it, q quits.
Other users of this machine can read the passwords of URLs on a command line: a file has no such problem.";

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// The URL of a database, or a YAML file.
    #[arg(value_name = "URL|FILE")]
    pub(crate) target: String,

    /// Let variables of the environment overrule the file.
    #[arg(long)]
    pub(crate) env: bool,

    /// The database of the file.
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,

    /// How long to send commands.
    #[arg(long, value_name = "DURATION", default_value = "10", value_parser = duration)]
    pub(crate) seconds: Duration,

    /// The number of callers.
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    pub(crate) clients: NonZeroU16,

    /// The size of a value in bytes.
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = value_parser!(u32).range(..=16_777_216))]
    pub(crate) size: u32,

    /// How many of a hundred commands are GET. The others are SET.
    #[arg(long, value_name = "PERCENT", default_value = "50", value_parser = value_parser!(u8).range(..=100))]
    pub(crate) reads: u8,

    /// The number of keys.
    #[arg(long, value_name = "NUMBER", default_value = "10000")]
    pub(crate) keys: NonZeroU32,

    /// Do not run redis-benchmark.
    #[arg(long)]
    pub(crate) alone: bool,
}

const BENCH_EXAMPLES: &str = "\
Examples:
  redis-steward bench redis://localhost
  redis-steward bench --seconds 60 --clients 200 --size 1024 --reads 90 redis://localhost
  redis-steward bench --database cache config/redis-databases.yaml
  redis-steward bench --json --alone redis://localhost | jq .redis_steward.latency.p99_ms

Exit codes: 0 if no call failed, 1 if one did or the run was interrupted.";

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) file: File,

    /// An address such as 127.0.0.1:6380, or the path of a Unix socket. It may be given several times.
    #[arg(long, value_name = "ADDRESS|PATH", default_value = "127.0.0.1:6380")]
    pub(crate) listen: Vec<String>,

    /// The database in which clients begin. By default the only one, or the one with the number 0.
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,

    /// The database that SELECT of a number enters, in place of the numbers in the file. It may be given several times.
    #[arg(long, value_name = "NUMBER=NAME", value_parser = selection)]
    pub(crate) select: Vec<(u32, String)>,

    /// The address for HTTP, or off.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9380")]
    pub(crate) http: String,

    /// The environment variable that holds the password of clients.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "password_file")]
    pub(crate) password_env: Option<String>,

    /// The file that holds the password of clients.
    #[arg(long, value_name = "PATH")]
    pub(crate) password_file: Option<PathBuf>,

    /// Permit addresses that other machines can reach. Clients then need a password, and nothing is encrypted.
    #[arg(long)]
    pub(crate) allow_remote: bool,

    /// The time that commands which are under way have at the end.
    #[arg(long, value_name = "DURATION", default_value = "10", value_parser = duration)]
    pub(crate) grace: Duration,

    /// The longest wait for a server when /health is asked.
    #[arg(long, value_name = "DURATION", default_value = "2", value_parser = duration)]
    pub(crate) within: Duration,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  redis-steward serve config/redis-databases.yaml
  redis-steward serve --listen /run/app/redis.sock --http off config/redis-databases.yaml
  redis-steward serve --select 0=main --select 1=cache --password-env FRONT_PASSWORD config/redis-databases.yaml
  redis-cli -p 6380 PING
  curl http://127.0.0.1:9380/health

Addresses, changes of health and the end are written to stdout, a line each.";

/// Reads `6=sessions`.
fn selection(text: &str) -> Result<(u32, String), String> {
    let (number, name) = text
        .split_once('=')
        .ok_or("use a number and a name, such as 6=sessions")?;
    let number = number
        .parse()
        .map_err(|_| format!("{number:?} is no number of a database"))?;
    Ok((number, name.to_owned()))
}

/// Reads `5`, `0.5`, `500ms`, `2s` or `1min`, up to a year.
fn duration(text: &str) -> Result<Duration, String> {
    let begin = text.find(|letter: char| letter.is_ascii_alphabetic());
    let (number, unit) = text.split_at(begin.unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("{unit:?} is no unit; use ms, s, min or h")),
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| String::from("use a number of seconds, such as 5, or 500ms, 2s, 1min"))?;
    let year = 365.0 * 24.0 * 3_600.0;
    if !(0.001..=year).contains(&(number * seconds)) {
        return Err("use a duration from 1ms to a year".into());
    }
    Ok(Duration::from_secs_f64(number * seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        for bad in ["", "ms", "-1", "0", "nan", "inf", "5 weeks", "1e9h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
