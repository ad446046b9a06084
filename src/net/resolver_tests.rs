//! Goal: look-ups are shared and bounded, and those that hang delay no others. Method: a resolver whose
//! look-ups hang until the test releases them.

use std::{
    future::Future,
    iter,
    pin::{Pin, pin},
};

use futures_util::future::{FutureExt as _, join_all, select};
use tokio::runtime::Builder;

use super::*;
use crate::{
    common::{eventually, eventually_async},
    net::hanging_names::HangingNames,
};

const SOON: Duration = Duration::from_secs(10);

/// The names of this many hosts whose look-ups hang.
fn hanging(number: usize) -> Vec<String> {
    (0..number)
        .map(|number| format!("hangs-{number}"))
        .collect()
}

/// Asks for a host, and does not wait for its address yet.
fn asked<'a>(
    resolver: &'a Resolver,
    host: &'a str,
) -> Pin<Box<impl Future<Output = io::Result<Vec<SocketAddr>>> + 'a>> {
    let mut asking = Box::pin(resolver.resolve(host, 1));
    assert!(asking.as_mut().now_or_never().is_none());
    asking
}

fn threads_of(resolver: &Resolver) -> usize {
    // Each thread owns a part of it.
    Arc::strong_count(&resolver.0) - 1
}

/// Waits until no thread of the resolver is left.
fn until_no_thread_is_left(resolver: &Resolver) {
    eventually(SOON, "no thread is left", || threads_of(resolver) == 0);
}

#[tokio::test]
async fn an_ip_address_needs_no_look_up() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    for (host, address) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
        let found = resolver.resolve(host, 7).await.expect("itself");
        assert_eq!(found, [address.parse::<SocketAddr>().expect("an address")]);
    }
    assert!(names.looked_up().is_empty());
}

#[tokio::test]
async fn callers_of_one_host_share_a_look_up() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    let callers = join_all((0..100).map(|port| resolver.resolve("hangs", port)));
    let mut callers = pin!(callers);
    assert!(callers.as_mut().now_or_never().is_none());
    eventually_async(SOON, "it hangs", || names.hanging() == 1).await;
    names.release();
    for (port, found) in callers.await.into_iter().enumerate() {
        let expected = SocketAddr::from(([127, 0, 0, 1], port as u16));
        assert_eq!(found.expect("an address"), [expected]);
    }
    assert_eq!(names.looked_up(), ["hangs"]);
    resolver.resolve("hangs", 1).await.expect("an address");
    assert_eq!(names.looked_up(), ["hangs", "hangs"], "nothing is kept");
}

#[tokio::test]
async fn a_failed_look_up_fails_for_all_its_callers() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    let callers = join_all((0..3).map(|port| resolver.resolve("hangs-missing", port)));
    let mut callers = pin!(callers);
    assert!(callers.as_mut().now_or_never().is_none());
    names.release();
    for error in callers.await {
        let error = error.expect_err("no such name");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "no such name");
    }
    assert_eq!(names.looked_up(), ["hangs-missing"]);
}

#[tokio::test]
async fn a_look_up_that_panics_is_an_error() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    for _ in 0..2 {
        let error = resolver.resolve("panics", 1).await.expect_err("a panic");
        assert_eq!(error.to_string(), "the look-up panicked");
    }
    resolver.resolve("other", 1).await.expect("an address");
    until_no_thread_is_left(&resolver);
}

#[tokio::test]
async fn a_look_up_outlives_its_first_caller() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    drop(asked(&resolver, "hangs"));
    let second = asked(&resolver, "hangs");
    names.release();
    second.await.expect("an address");
    assert_eq!(names.looked_up(), ["hangs"]);
}

#[tokio::test]
async fn row_63_threads_are_bounded_and_none_is_left() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    let hosts = hanging(MAX_THREADS + 50);
    for _ in 0..5 {
        let callers = join_all(hosts.iter().map(|host| resolver.resolve(host, 1)));
        let all_hang = || names.hanging() == MAX_THREADS;
        let until_all_hang = eventually_async(SOON, "all threads hang", all_hang);
        // The callers give up at the end of this round.
        select(callers, pin!(until_all_hang)).await;
        assert_eq!(threads_of(&resolver), MAX_THREADS);
    }
    let callers = join_all(hosts.iter().map(|host| resolver.resolve(host, 1)));
    let mut callers = pin!(callers);
    assert!(callers.as_mut().now_or_never().is_none());
    names.release();
    for found in callers.await {
        found.expect("an address");
    }
    assert_eq!(names.looked_up().len(), hosts.len(), "one per host");
    until_no_thread_is_left(&resolver);
}

#[test]
fn row_63_a_runtime_neither_lends_threads_nor_waits() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    for host in hanging(80) {
        let resolver = resolver.clone();
        runtime.spawn(async move { resolver.resolve(&host, 1).await.map(drop) });
    }
    eventually(SOON, "all hang", || names.hanging() == 80);
    let began = Instant::now();
    let blocking = runtime.spawn_blocking(|| ());
    runtime.block_on(blocking).expect("it runs");
    drop(runtime);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(names.hanging(), 80);
}

#[tokio::test]
async fn row_64_a_host_resolves_while_80_others_hang() {
    let names = HangingNames::default();
    let resolver = names.resolver();
    let hosts = hanging(80);
    let callers = join_all(hosts.iter().map(|host| resolver.resolve(host, 1)));
    let began = Instant::now();
    let resolves = async {
        resolver.resolve("other", 1).await.expect("an address");
        let took = began.elapsed();
        // Each quarter of a second 16 look-ups prove to hang.
        assert!(took < SOON / 2, "{took:?}");
        eventually_async(SOON, "all hang", || names.hanging() == 80).await;
        tokio::time::sleep(HANGS).await;
        let began = Instant::now();
        resolver.resolve("other", 1).await.expect("an address");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    };
    select(callers, pin!(resolves)).await;
}

#[test]
fn a_caller_that_goes_leaves_no_entry_behind() {
    let begin = Instant::now();
    let mut state = State::default();
    let hosts = hanging(MAX_YOUNG);
    let _callers: Vec<_> = hosts.iter().map(|host| state.ask(host)).collect();
    let jobs: Vec<_> = iter::from_fn(|| state.next(begin)).collect();
    for _ in 0..50 {
        for host in &hosts {
            drop(state.ask(&format!("{host}-gone")));
        }
    }
    let _last = state.ask("last");
    assert_eq!(state.asked.len(), hosts.len() + 1);
    state.end(&jobs[0]);
    let next = state.next(begin).expect("a place");
    assert_eq!(&*next.host, "last");
}

#[test]
fn look_ups_that_hang_make_place_for_others() {
    let begin = Instant::now();
    let mut state = State::default();
    let hosts = hanging(2 * MAX_THREADS);
    let callers: Vec<_> = hosts.iter().map(|host| state.ask(host)).collect();
    let started = |state: &mut State, after: Duration| {
        let jobs = iter::from_fn(|| state.next(begin + after));
        jobs.collect::<Vec<_>>()
    };
    let first = started(&mut state, Duration::ZERO);
    assert_eq!(first.len(), MAX_YOUNG);
    assert!(started(&mut state, HANGS / 2).is_empty());
    state.end(&first[3]);
    assert_eq!(started(&mut state, HANGS / 2).len(), 1);
    // All but the one that has just begun hang by now.
    assert_eq!(started(&mut state, HANGS).len(), MAX_YOUNG - 1);
    for round in 2..100 {
        started(&mut state, round * HANGS);
    }
    assert_eq!(state.running.len(), MAX_THREADS);
    state.end(&first[0]);
    assert_eq!(started(&mut state, 100 * HANGS).len(), 1);
    drop(callers);
    state.end(&first[1]);
    assert!(
        started(&mut state, 100 * HANGS).is_empty(),
        "no caller is left"
    );
    assert_eq!(state.asked.len(), state.running.len());
}

#[tokio::test]
async fn the_system_is_asked() {
    let resolver = Resolver::of_process();
    let found = resolver.resolve("localhost", 6379).await;
    let found = found.expect("localhost has an address");
    assert!(!found.is_empty());
    for address in found {
        assert!(
            address.ip().is_loopback() && address.port() == 6379,
            "{address}"
        );
    }
    let missing = resolver.resolve("no-such-host.invalid", 1).await;
    missing.expect_err("reserved by RFC 2606");
}
