//! A machine of health, the world around it, and a naive model of it.

use super::*;
use crate::events::HealthState;

/// More actions than any event asks for.
const MANY: usize = 50;
const RECOVERY: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits {
    failure_threshold: 5,
    recovery_timeout: RECOVERY,
    attempt_timeout: Duration::from_secs(1),
    check_interval: Duration::from_secs(30),
    has_fallback: false,
};
/// The longest pause of a backoff or of a breaker.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How far the time goes on between two successes of a recovery.
const STEP: Duration = Duration::from_millis(50);
/// How long a refusal is remembered that no attempt can tell, with some slack.
const LIMIT_MEMORY: Duration = Duration::from_secs(12);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    Connected,
    Dialling,
    /// It waits to be told when to dial.
    Waiting,
    Gone,
}

/// A machine, the world around it, and a naive model of it.
#[derive(Debug)]
pub(super) struct World {
    health: DatabaseHealth,
    now: Instant,
    jitter: f64,
    gate: (u64, GateState),
    pool: Pool,
    endpoint: Endpoint<&'static str>,
    /// How many times the endpoint is being asked.
    checks: usize,
    /// The epochs of the probes that are under way.
    probes: Vec<u64>,
    /// The epochs of the questions to the present connection that are under way.
    asks: Vec<u64>,
    timers: Vec<Instant>,
    told: Option<Status>,
    counts: Counts,
    looked_at: Instant,
    gate_set_at: Instant,
    has_succeeded: bool,
    is_isolated: bool,
    is_given_up: bool,
}

impl World {
    pub(super) fn new(jitter: f64) -> Self {
        let now = Instant::now();
        let mut health = DatabaseHealth::new(LIMITS, Found::default(), now, jitter);
        health.gate_set(1, now);
        let mut world = Self {
            health,
            now,
            jitter,
            gate: (1, GateState::Free),
            pool: Pool::Dialling,
            endpoint: Endpoint::new(),
            checks: 0,
            probes: Vec::new(),
            asks: Vec::new(),
            timers: Vec::new(),
            told: None,
            counts: Counts::default(),
            looked_at: now,
            gate_set_at: now,
            has_succeeded: false,
            is_isolated: false,
            is_given_up: false,
        };
        world.settle();
        world
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        let epoch = self.gate.0;
        match happening {
            Happening::CommandSucceeds => {
                self.has_succeeded = true;
                self.on(Event::CommandSucceeded);
            }
            Happening::CommandFails(reason) => self.on(Event::CommandFailed { epoch, reason }),
            Happening::CommandIsRefused(reason) => self.on(Event::CommandRefused(reason)),
            Happening::TrialSucceeds if matches!(self.gate.1, GateState::Trial { .. }) => {
                self.on(Event::TrialSucceeded { epoch });
            }
            Happening::TrialSucceeds => {}
            Happening::Late(by, reason) => self.late(epoch.saturating_sub(by), reason),
            Happening::Observed { calls, slow } => {
                self.counts.calls += calls;
                self.counts.slow += slow;
                self.look();
            }
            Happening::Unanswered(commands) => self.unanswered(commands),
            Happening::ConnectionBreaks if self.pool == Pool::Connected => {
                self.pool = Pool::Dialling;
                self.on(Event::ConnectionLost("it broke".into()));
            }
            Happening::ConnectionBreaks => {}
            Happening::LoginFails(reason) if self.pool == Pool::Connected => {
                self.on(Event::LoginFailed(Fault {
                    reason,
                    cause: None,
                }));
            }
            Happening::LoginFails(_) => {}
            Happening::DialEnds(outcome) => self.dial_ends(outcome),
            Happening::ProbeEnds(which, outcome) => self.probe_ends(which, outcome),
            Happening::AskEnds(has_answered) => self.ask_ends(has_answered),
            Happening::CheckEnds(outcome) => self.check_ends(outcome),
            Happening::PoolCrashes => self.pool_starts(),
            Happening::PoolIsGivenUp if !self.is_given_up => {
                self.pool = Pool::Gone;
                self.is_given_up = true;
                self.on(Event::GivenUp);
            }
            Happening::PoolIsGivenUp => {}
            Happening::Revived if self.is_given_up => {
                self.is_given_up = false;
                self.pool_starts();
            }
            Happening::Revived => {}
            Happening::Isolate => {
                self.is_isolated = true;
                self.on(Event::Isolate);
            }
            Happening::Reset => {
                self.is_isolated = false;
                self.on(Event::Reset);
            }
            Happening::Pass(time) => self.pass(time),
        }
    }

    fn look(&mut self) {
        self.on(Event::Observed(self.counts));
        self.looked_at = self.now;
        self.has_succeeded = false;
    }

    /// Some of them may have been sent before the epoch began, and then none of them counts.
    fn unanswered(&mut self, commands: u64) {
        self.counts.unanswered += commands;
        let may_be_old = self.looked_at < self.gate_set_at + LIMITS.attempt_timeout;
        let (before, gate) = (format!("{:?}", self.health.breaker), self.gate);
        let has_succeeded = self.has_succeeded;
        self.look();
        if may_be_old || !matches!(gate.1, GateState::Free | GateState::Trial { .. }) {
            assert_eq!(self.gate, gate);
            assert_eq!(format!("{:?}", self.health.breaker), before);
        } else if commands >= u64::from(LIMITS.failure_threshold) && !has_succeeded {
            assert_eq!(self.gate.1, GateState::Open);
        }
    }

    /// Evidence of another epoch leaves everything as it was.
    fn late(&mut self, epoch: u64, reason: Reason) {
        if epoch == self.gate.0 {
            return;
        }
        let before = format!("{:?}", self.health);
        let late = Event::CommandFailed { epoch, reason };
        self.health.on(late, self.now, self.jitter);
        let late = Event::TrialSucceeded { epoch };
        self.health.on(late, self.now, self.jitter);
        assert_eq!(format!("{:?}", self.health), before);
    }

    fn dial_ends(&mut self, outcome: Outcome) {
        if self.pool != Pool::Dialling {
            return;
        }
        match outcome.result() {
            Ok(greeting) => {
                self.pool = Pool::Connected;
                self.on(Event::Connected(greeting));
            }
            Err(fault) => {
                self.pool = Pool::Waiting;
                self.on(Event::DialFailed(fault));
            }
        }
    }

    fn probe_ends(&mut self, which: usize, outcome: Outcome) {
        if self.probes.is_empty() {
            return;
        }
        let epoch = self.probes.remove(which % self.probes.len());
        let verdict = |health: &DatabaseHealth| {
            let breaker = format!("{:?}", health.breaker);
            (health.condition, health.limit, breaker)
        };
        let before = verdict(&self.health);
        let (result, is_late) = (outcome.result(), epoch != self.gate.0);
        let event = Event::Probed { epoch, result };
        self.health.on(event, self.now, self.jitter);
        assert!(!is_late || verdict(&self.health) == before, "it was late");
        self.settle();
    }

    /// A connection that answers keeps its database in service.
    fn ask_ends(&mut self, has_answered: bool) {
        let Some(epoch) = self.asks.pop() else {
            return;
        };
        let has_answered = has_answered && self.pool == Pool::Connected;
        let (circuit, is_late) = (self.health.circuit(), epoch != self.gate.0);
        self.on(Event::Asked {
            epoch,
            has_answered,
        });
        if has_answered && !is_late && circuit == CircuitState::Closed {
            assert_eq!(self.health.circuit(), CircuitState::Closed);
        }
    }

    fn check_ends(&mut self, outcome: Outcome) {
        if self.checks == 0 {
            return;
        }
        self.checks -= 1;
        match outcome.result() {
            Ok(_) => {
                let jitter = self.jitter;
                let answered: Vec<_> = self.endpoint.answered(|| jitter).collect();
                for (_, after) in answered {
                    self.on(Event::EndpointAnswered { after });
                }
            }
            Err(fault) => {
                let Some(pause) = self.endpoint.failed(self.now, self.jitter) else {
                    return;
                };
                self.checks += 1;
                let next_check = self.now + pause;
                self.on(Event::EndpointFailed { fault, next_check });
            }
        }
    }

    fn pool_starts(&mut self) {
        if !self.is_given_up {
            self.pool = Pool::Dialling;
            self.on(Event::Restarted);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.timers.retain(|at| *at > self.now);
        self.on(Event::Tick);
    }

    fn on(&mut self, event: Event) {
        self.health.on(event, self.now, self.jitter);
        self.settle();
    }

    /// Carries out what the machine asks for.
    fn settle(&mut self) {
        for _ in 0..MANY {
            match self.health.poll(self.now) {
                Some(action) => self.carry_out(action),
                None => return,
            }
        }
        panic!("it comes to no end");
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::SetGate(state) => {
                let stays = self.gate.1 == GateState::Failed && state == GateState::Failed;
                assert!(!stays, "a new epoch of a database that is given up");
                self.gate = (self.gate.0 + 1, state);
                self.gate_set_at = self.now;
                self.health.gate_set(self.gate.0, self.now);
            }
            Action::AnnounceOutage { next_probe, .. } => {
                assert_eq!(self.health.circuit(), CircuitState::Open);
                assert!(next_probe >= self.now);
            }
            Action::RetireConnections if self.pool == Pool::Connected => self.pool = Pool::Waiting,
            Action::RetireConnections => {}
            Action::StandIn | Action::Recover => panic!("there is no fallback"),
            Action::Redial(_) if self.pool == Pool::Waiting => self.pool = Pool::Dialling,
            Action::Redial(_) => {}
            Action::Probe(_) => self.probes.push(self.health.epoch()),
            Action::AskConnection => self.asks.push(self.health.epoch()),
            Action::AwaitEndpoint => {
                let (at, start) = self.endpoint.wait("main", self.now, self.jitter);
                self.checks += usize::from(start.is_some());
                self.health.checked_at(at, self.now);
            }
            Action::EndpointReached => self.endpoint.reached(&"main"),
            Action::WakeAfter(pause) => self.timers.push(self.now + pause),
            Action::Publish(status) => {
                let is_change = |told: &Status| describe(told) != describe(&status);
                assert!(self.told.as_ref().is_none_or(is_change), "{status:?}");
                self.told = Some(status);
            }
        }
    }

    pub(super) fn check(&self) {
        let circuit = self.health.circuit();
        let expected = match circuit {
            _ if self.is_given_up => GateState::Failed,
            _ if self.is_isolated => GateState::Isolated,
            CircuitState::Closed => GateState::Free,
            CircuitState::HalfOpen => GateState::Trial {
                at_once: self.health.breaker.proof().trials,
            },
            CircuitState::Open => GateState::Open,
        };
        assert_eq!(self.gate.1, expected, "{circuit}");
        self.check_told();
        // An endpoint is asked as long as a database waits for it, and once at a time.
        let waits = self.endpoint.waiting().count() > 0;
        assert!(self.checks <= 1 && (!waits || self.checks == 1), "{self:?}");
        // An attempt that has not ended.
        let due = [self.health.retry_at, self.health.confirm_at].into_iter();
        let is_woken = due.flatten().any(|at| self.timers.contains(&at));
        let is_dialling = self.pool == Pool::Dialling;
        let is_asking = !self.probes.is_empty() || !self.asks.is_empty();
        let pending = is_asking || is_woken || waits || is_dialling;
        let is_held = self.is_given_up || self.is_isolated;
        assert!(
            pending || is_held || circuit == CircuitState::Closed,
            "{self:?}"
        );
        assert!(pending || self.pool != Pool::Waiting, "{self:?}");
    }

    /// Subscribers know the state.
    fn check_told(&self) {
        let told = self.told.as_ref().expect("a state from the start");
        assert_eq!(told.circuit, self.health.circuit());
        match &told.state {
            HealthState::Failed => assert!(self.is_given_up),
            HealthState::Isolated => assert!(self.is_isolated),
            HealthState::Healthy | HealthState::Starting => {
                assert_eq!(self.gate.1, GateState::Free)
            }
            HealthState::Down { .. } => assert_eq!(self.gate.1, GateState::Open),
            HealthState::Degraded { .. } => assert!(!self.is_isolated && !self.is_given_up),
            HealthState::Stopped | HealthState::Removed => panic!("it was not stopped"),
        }
    }

    /// From now on all goes well: what was held is let go, and every attempt succeeds.
    pub(super) fn recover(&mut self) {
        if self.is_given_up {
            self.happen(Happening::Revived);
        }
        if self.is_isolated {
            self.happen(Happening::Reset);
        }
        let start = self.now;
        let well = || Outcome::Reached(Greeting::default());
        while self.told.as_ref().map(|told| &told.state) != Some(&HealthState::Healthy) {
            self.happen(Happening::DialEnds(well()));
            self.happen(Happening::ProbeEnds(0, well()));
            self.happen(Happening::AskEnds(true));
            self.happen(Happening::CheckEnds(well()));
            self.happen(Happening::Pass(STEP));
            self.check();
            let took = self.now - start;
            if self.health.circuit() == CircuitState::Open {
                assert!(took <= LONGEST_PAUSE + STEP, "{self:?}");
            }
            if self.health.circuit() != CircuitState::Closed {
                assert!(took < RECOVERY + LONGEST_PAUSE, "{self:?}");
            }
            assert!(took < LIMIT_MEMORY + 2 * LONGEST_PAUSE, "{self:?}");
        }
        assert_ne!(self.pool, Pool::Waiting, "{self:?}");
    }
}

impl Outcome {
    fn result(self) -> Result<Greeting, Fault> {
        match self {
            Self::Reached(greeting) => Ok(greeting),
            Self::Failed(reason) => {
                let cause = None;
                Err(Fault { reason, cause })
            }
        }
    }
}

/// A state as far as it is worth an event.
fn describe(status: &Status) -> (String, CircuitState) {
    let state = match &status.state {
        HealthState::Down { reason, .. } => format!("down {reason}"),
        state => format!("{state:?}"),
    };
    (state, status.circuit)
}
