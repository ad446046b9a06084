//! redis-benchmark, the program that comes with the server: about what the server itself can do
//! with so many calls outstanding. It is a measure and not a peer, since it looks at no reply and
//! asks for one key; a client that sends more at a time can still be faster.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    process::{Command as Program, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::task::spawn_blocking;

use crate::{
    address::Address,
    case::{Case, Command},
    contender::{Contender, Turn},
    dataset,
    figures::Figures,
    program::Programs,
    usage::Usage,
};

/// Requests of the first run, one by one or several at a time: enough milliseconds, in which the
/// program counts, to see how fast it is.
const FIRST_RUN: [usize; 2] = [2_000, 10_000];

pub struct Limit {
    address: Address,
    programs: Programs,
    case: Case,
    /// Known after the first run.
    operations_per_second: Option<f64>,
}

/// How so many outstanding calls are spread.
#[derive(Debug, PartialEq)]
struct Shape {
    connections: usize,
    pipeline: usize,
}

impl Limit {
    pub fn new(address: Address, programs: Programs, case: Case) -> Self {
        Self {
            address,
            programs,
            case,
            operations_per_second: None,
        }
    }

    async fn measure(&mut self, length: Duration) -> Result<Figures> {
        let shape = Shape::of(self.case);
        let least = shape.connections * shape.pipeline;
        let requests = match self.operations_per_second {
            Some(rate) => (rate * length.as_secs_f64()) as usize,
            None if least == 1 => FIRST_RUN[0],
            None => FIRST_RUN[1].max(16 * least),
        };
        let requests = requests.max(4 * least);
        let cpu = Usage::Children.now();
        let output = self.run(&shape, requests).await?;
        let cpu = Usage::Children.now() - cpu;
        let mut figures = parse(&output).with_context(|| unexpected(&output))?;
        figures.cpu_micros_per_operation = cpu.as_secs_f64() * 1e6 / requests as f64;
        self.operations_per_second = Some(figures.operations_per_second);
        Ok(figures)
    }

    /// What it prints. It is ended if nobody waits for it any more, since without a server it goes on
    /// for ever.
    async fn run(&self, shape: &Shape, requests: usize) -> Result<String> {
        let mut command = Program::new("redis-benchmark");
        command
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.address.port.to_string(),
                "--csv",
            ])
            .args(["-c", &shape.connections.to_string()])
            .args(["-P", &shape.pipeline.to_string()])
            .args(["-n", &requests.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(authority) = &self.address.authority {
            command.arg("--tls").arg("--cacert").arg(authority.file());
        }
        // The first word that is no flag ends them.
        command.args(arguments(self.case));
        let program = match self.programs.start(&mut command) {
            Ok(program) => program,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "redis-benchmark is not installed: it comes with redis-server, or in the package redis-tools"
            ),
            Err(error) => return Err(error).context("starting redis-benchmark"),
        };
        let (figures, complaint) = program.output().context("its output is piped")?;
        // Both at the same time: it stops when one of them is full.
        let complaint = spawn_blocking(|| io::read_to_string(complaint));
        let figures = spawn_blocking(|| io::read_to_string(figures)).await?;
        let figures = figures.context("reading what redis-benchmark prints")?;
        let complaint = complaint.await?.context("reading its complaints")?;
        let status = program.wait().context("waiting for redis-benchmark")?;
        if !status.success() {
            bail!("it ended with {status}: {}", complaint.trim());
        }
        Ok(figures)
    }
}

impl Contender for Limit {
    fn round(&mut self, length: Duration) -> Turn<'_> {
        Box::pin(self.measure(length))
    }

    fn reconnect(&mut self) -> Pin<Box<dyn Future<Output = Result<()>> + '_>> {
        // Each round is a program of its own.
        Box::pin(async { Ok(()) })
    }

    fn disconnect(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        Box::pin(async { Ok(()) })
    }
}

impl Shape {
    /// Four connections share what is outstanding, which is where the program is fastest.
    fn of(case: Case) -> Self {
        let connections = case.outstanding.min(4);
        let pipeline = case.outstanding / connections * case.command.operations();
        Self {
            connections,
            pipeline,
        }
    }
}

fn arguments(case: Case) -> Vec<String> {
    let key = dataset::key(0);
    match case.command {
        Command::Get | Command::Pipeline | Command::Mget | Command::Mixed => {
            vec!["GET".into(), key]
        }
        Command::Incr => vec!["INCR".into(), key],
        Command::Set => {
            let value = dataset::value(0, case.bytes);
            let value = String::from_utf8_lossy(&value).into_owned();
            vec!["SET".into(), key, value]
        }
    }
}

/// The figures in the last line. They are found from its end, since the line begins with the
/// command, unescaped.
fn parse(output: &str) -> Result<Figures> {
    let line = output.lines().last().context("no line")?;
    let mut fields = line.rsplitn(8, ',').map(|field| field.trim_matches('"'));
    let mut next = |name: &'static str| -> Result<f64> {
        let field = fields.next().with_context(|| format!("no {name}"))?;
        let number = field.parse::<f64>();
        number.map_err(|_| anyhow!("{name} is no number: {field}"))
    };
    let _max = next("max_latency_ms")?;
    let p99_millis = next("p99_latency_ms")?;
    let _p95 = next("p95_latency_ms")?;
    let p50_millis = next("p50_latency_ms")?;
    let _min = next("min_latency_ms")?;
    let _average = next("avg_latency_ms")?;
    let operations_per_second = next("rps")?;
    ensure!(
        operations_per_second.is_finite(),
        "it took no time, choose a longer --round"
    );
    Ok(Figures {
        operations_per_second,
        cpu_micros_per_operation: 0.0,
        p50_micros: p50_millis * 1e3,
        p99_micros: p99_millis * 1e3,
        p999_micros: None,
        hit_share: None,
    })
}

fn unexpected(output: &str) -> String {
    let tail = output.lines().last().unwrap_or_default();
    let start = tail.char_indices().rev().nth(200).map_or(0, |(at, _)| at);
    format!(
        "redis-benchmark printed something else than figures: {}",
        &tail[start..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::{PIPELINE, Service},
        runtime::Flavour,
    };

    const OUTPUT: &str = concat!(
        r#""test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms""#,
        "\n",
        r#""SET key:0 a,"b","740740.75","0.060","0.016","0.055","0.111","0.223","0.479""#,
        "\n",
    );

    #[test]
    fn figures_are_read_from_the_end_of_the_line() {
        let figures = parse(OUTPUT).expect("figures");
        assert_eq!(figures.operations_per_second, 740_740.75);
        assert_eq!(figures.p50_micros, 55.0);
        assert_eq!(figures.p99_micros, 223.0);
        assert_eq!(figures.p999_micros, None);
    }

    #[test]
    fn anything_else_is_an_error() {
        assert!(parse("").is_err());
        let too_short = OUTPUT.replace("740740.75", "inf");
        assert!(parse(&too_short).is_err());
        let error = parse("WARNING: no server").expect_err("no figures");
        assert!(error.to_string().contains("no number"), "{error}");
    }

    #[test]
    fn outstanding_calls_are_spread_over_four_connections() {
        let shape = |command, outstanding| {
            Shape::of(Case {
                command,
                bytes: 16,
                outstanding,
                flavour: Flavour::MultiThread,
                service: Service::Server,
            })
        };
        let expected = |connections, pipeline| Shape {
            connections,
            pipeline,
        };
        assert_eq!(shape(Command::Get, 1), expected(1, 1));
        assert_eq!(shape(Command::Get, 256), expected(4, 64));
        assert_eq!(shape(Command::Pipeline, 1), expected(1, PIPELINE));
        assert_eq!(shape(Command::Pipeline, 16), expected(4, 4 * PIPELINE));
    }
}
