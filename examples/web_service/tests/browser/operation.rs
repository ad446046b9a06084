//! Outages and actions.

use crate::{ACTIX, AXUM, SOON, Service, Site, TWO_SECONDS, all_are, is};

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
}
