//! How the page looks, and how it is read out.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{ACTIX, Page, SOON, Site, all_are, is};

/// The least contrast of a text to what is behind it, and that text, by the formula of WCAG 2.
const LEAST_CONTRAST: &str = "(() => {
    const channel = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
    const light = (colour) => {
        const [red, green, blue] = parts(colour).map((value) => channel(value / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if ((parts(colour)[3] ?? 1) === 1) return colour;
        }
    };
    let least = [100, ''];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
        if (own === '' || !element.checkVisibility()) continue;
        const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < least[0]) least = [contrast, own];
    }
    return least;
})()";

/// A minute of latencies, with a burst and with seconds in which nothing was asked.
const A_MINUTE: &str = "for (const known of cards.values()) {
    known.points = Array.from({ length: 60 }, (_, second) => {
        if (second % 23 > 20) return null;
        const p50_ms = 0.1 * (1 + (second * 7) % 3) * (second > 40 && second < 46 ? 50 : 1);
        return { p50_ms, p99_ms: p50_ms * (2 + (second * 5) % 9) };
    });
    draw(known, known.points);
}";

#[tokio::test]
async fn it_can_be_read_on_narrow_and_wide_screens_in_light_and_dark() {
    let Some(mut site) = Site::start(ACTIX).await else {
        return;
    };
    let page = &mut site.page;
    for _ in 0..30 {
        use_service(&site.service.bind()).await;
    }
    let has_line = "document.querySelector('[data-database=limits] path.p99').getAttribute('d')?.startsWith('M')";
    page.wait_for(has_line, SOON).await;
    page.click("[data-database=limits] .isolate").await;
    page.click("#yes").await;
    page.wait_for(&is("limits", "isolated"), SOON).await;
    page.ask(A_MINUTE).await;
    take_pictures(page, "running").await;
    site.server.kill();
    page.wait_for(&is("sessions", "down"), SOON).await;
    take_pictures(page, "down").await;
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[tokio::test]
async fn texts_become_no_markup_and_buttons_have_names() {
    let Some(mut site) = Site::start(ACTIX).await else {
        return;
    };
    let page = &mut site.page;
    page.wait_for(&all_are("healthy"), SOON).await;
    let foreign = "(async () => {
        const report = await (await fetch('snapshot')).json();
        const text = '<img src=x onerror=\"document.title = 1\"><script>document.title = 1</script>';
        const stats = { ...report.statistics.databases.sessions, cause: text, last_error: { text, at: 1 } };
        showDatabase(text, stats, true);
        logEvent({ ...report.events[0], database: text, text: text + text });
        ask(text);
        find('question').close();
        return document.querySelectorAll('img, body script').length;
    })()";
    assert_eq!(
        page.ask(foreign).await,
        json!(1),
        "the script of the page alone"
    );
    page.wait_for("document.title !== '1'", SOON).await;
    page.wait_for("document.querySelectorAll('article').length === 4", SOON)
        .await;

    let tree = page.call("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().expect("nodes");
    let is_button = |node: &&Value| node["role"]["value"] == "button" && node["ignored"] == false;
    let names = nodes
        .iter()
        .filter(is_button)
        .map(|node| &node["name"]["value"]);
    let names: Vec<_> = names.filter_map(Value::as_str).collect();
    for database in ["limits", "results", "sessions", "updates"] {
        for action in ["Isolate", "Reset"] {
            assert!(
                names.contains(&format!("{action} {database}").as_str()),
                "{names:?}"
            );
        }
    }
    let complaints = page.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// A request that asks the limits and the results.
async fn use_service(address: &str) {
    let mut stream = TcpStream::connect(address).await.expect("a service");
    let request =
        format!("GET /primes/1000 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
        .await
        .expect("an answer");
}

async fn take_pictures(page: &mut Page, name: &str) {
    for width in [360, 1280] {
        for scheme in ["light", "dark"] {
            let metrics =
                json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
            page.call("Emulation.setDeviceMetricsOverride", metrics)
                .await;
            let scheme_feature = json!({ "name": "prefers-color-scheme", "value": scheme });
            let media = json!({ "features": [scheme_feature] });
            page.call("Emulation.setEmulatedMedia", media).await;
            let overflow = page
                .ask("document.documentElement.scrollWidth - innerWidth")
                .await;
            assert!(
                overflow.as_i64() <= Some(0),
                "{width} px: {overflow} px too wide"
            );
            let least = page.ask(LEAST_CONTRAST).await;
            assert!(
                least[0].as_f64() >= Some(4.5),
                "{width} px, {scheme}: {least}"
            );
            let shot = page
                .call(
                    "Page.captureScreenshot",
                    json!({ "captureBeyondViewport": true }),
                )
                .await;
            let picture = BASE64_STANDARD.decode(shot["data"].as_str().expect("a picture"));
            let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("status-page-{name}-{width}-{scheme}.png"));
            fs::write(file, picture.expect("Base64")).expect("a file");
        }
    }
}
