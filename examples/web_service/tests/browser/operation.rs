//! Outages and actions.

use crate::{ACTIX, AXUM, Page, SOON, Service, Site, TWO_SECONDS, all_are, is};

/// What the log says when events may be missing.
const GAP: &str = "may be missing";

#[tokio::test]
async fn an_outage_and_its_end_are_shown_within_two_seconds() {
    let Some(mut site) = Site::start(ACTIX).await else {
        return;
    };
    let page = &mut site.page;
    let (mut soonest, mut soonest_back) = (SOON, SOON);
    // The machine may be busy with something else for a while, but not three times.
    for _ in 0..3 {
        site.server.kill();
        let noticed = page
            .wait_for(&format!("!{}", all_are("healthy")), SOON)
            .await;
        page.wait_for(&all_are("down"), SOON).await;
        page.wait_for("find('log').innerText.includes('down')", SOON)
            .await;
        page.wait_for("find('news').textContent.includes('is down')", SOON)
            .await;
        page.wait_for("document.querySelector('.cause').checkVisibility()", SOON)
            .await;
        site.server.restart();
        let back = page.wait_for(&all_are("healthy"), SOON).await;
        println!("shown after {noticed:?}, and {back:?} after the return");
        (soonest, soonest_back) = (soonest.min(noticed), soonest_back.min(back));
        page.ask("find('log').replaceChildren()").await;
        if soonest.max(soonest_back) < TWO_SECONDS {
            break;
        }
    }
    assert!(soonest.max(soonest_back) < TWO_SECONDS);
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(
        site.service.terminate(),
        "a clean end, though the page is open"
    );
}

#[tokio::test]
async fn databases_are_isolated_and_reset_by_mouse_and_keyboard() {
    // Axum's page is below a path without a slash at its end.
    for (program, database) in [(ACTIX, "sessions"), (AXUM, "main")] {
        let Some(mut site) = Site::start(program).await else {
            return;
        };
        let page = &mut site.page;
        let part = |selector: &str| format!("[data-database={database}] {selector}");
        page.click(&part(".isolate")).await;
        page.wait_for("document.querySelector('#question').open", SOON)
            .await;
        page.click("#no").await;
        page.wait_for("!document.querySelector('#question').open", SOON)
            .await;
        page.click(&part(".isolate")).await;
        page.click("#yes").await;
        page.wait_for(&is(database, "isolated"), SOON).await;
        page.click(&part(".reset")).await;
        page.wait_for(&is(database, "healthy"), SOON).await;

        // The question has the focus on its harmless button, and gives it back.
        page.ask(&format!(
            "document.querySelector('{}').focus()",
            part(".isolate")
        ))
        .await;
        page.press("Enter").await;
        page.wait_for("document.activeElement.id === 'no'", SOON)
            .await;
        page.ask("document.querySelector('#yes').focus()").await;
        page.press("Enter").await;
        page.wait_for(&is(database, "isolated"), SOON).await;
        page.wait_for("document.activeElement.classList.contains('isolate')", SOON)
            .await;
        page.press("Tab").await;
        page.press("Enter").await;
        page.wait_for(&is(database, "healthy"), SOON).await;
        let complaints = page.complaints().await;
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

#[tokio::test]
async fn a_lost_stream_is_told_and_found_again() {
    let Some(mut site) = Site::start(ACTIX).await else {
        return;
    };
    let page = &mut site.page;
    let status = "document.querySelector('#stream').textContent";
    page.wait_for(&format!("{status} === 'Live'"), SOON).await;
    assert!(!page.logs(GAP).await);
    let bind = site.service.bind();
    assert!(site.service.terminate());
    page.wait_for(
        &format!("{status}.startsWith('Connection to the service lost')"),
        SOON,
    )
    .await;
    let _service = Service::start(ACTIX, &site.server.url(), &bind);
    page.wait_for(&format!("{status} === 'Live'"), SOON).await;
    page.wait_for(&all_are("healthy"), SOON).await;
    assert!(page.logs(GAP).await, "another process answers");
}

#[tokio::test]
async fn a_hidden_tab_has_no_stream_and_misses_nothing_that_is_kept() {
    let Some(site) = Site::start(ACTIX).await else {
        return;
    };
    let mut page = site.page;
    let mut other = Page::open(&site.browser.address).await;
    for (times, is_cut) in [(1, false), (200, true)] {
        other.bring_to_front().await;
        page.wait_for("source === null", SOON).await;
        // A script of the page runs on.
        page.ask(&format!(
            "(async () => {{ for (let time = 0; time < {times}; time++) {{
                await act('limits', 'isolate'); await act('limits', 'reset'); }} }})()"
        ))
        .await;
        page.ask("find('log').replaceChildren()").await;
        page.bring_to_front().await;
        page.wait_for("find('stream').textContent === 'Live'", SOON)
            .await;
        // Of those that are not kept, the last state is told.
        assert_eq!(page.logs("isolated").await, !is_cut, "{times} times");
        assert_eq!(page.logs(GAP).await, is_cut, "{times} times");
    }
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[tokio::test]
async fn many_tabs_of_one_browser_do_not_keep_each_other_waiting() {
    let Some(site) = Site::start(ACTIX).await else {
        return;
    };
    let mut tabs = Vec::new();
    for _ in 0..7 {
        let mut tab = Page::open(&site.browser.address).await;
        tab.bring_to_front().await;
        tab.go_to(&site.service.url).await;
        tab.wait_for(&all_are("healthy"), SOON).await;
        tabs.push(tab);
    }
    let tab = tabs.last_mut().expect("a tab");
    tab.click("[data-database=limits] .isolate").await;
    tab.click("#yes").await;
    tab.wait_for(&is("limits", "isolated"), SOON).await;
}
