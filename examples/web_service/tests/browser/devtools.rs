//! A browser's page, by the DevTools protocol.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// The browser answers long before that.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    calls: u64,
    events: VecDeque<Value>,
}

impl Page {
    /// A new page of the browser at this address, which notes what its console says.
    pub async fn open(browser: &str) -> Self {
        let (socket, _) = connect_async(browser).await.expect("a browser");
        let mut page = Self {
            socket,
            session: None,
            calls: 0,
            events: VecDeque::new(),
        };
        let target = page
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = page.call("Target.attachToTarget", attach).await;
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Accessibility"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page
    }

    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        let call = Message::text(call.to_string());
        self.socket
            .send(call)
            .await
            .expect("a browser that listens");
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await;
            let message = message.unwrap_or_else(|_| panic!("no answer to {method}"));
            let message = message.expect("a browser that runs").expect("a message");
            let Ok(text) = message.into_text() else {
                continue;
            };
            let Ok(mut answer) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push_back(answer);
        }
    }

    pub async fn go_to(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(went["errorText"].is_null(), "{went}");
    }

    /// Shows this page, and hides that which was shown before.
    pub async fn bring_to_front(&mut self) {
        self.call("Page.bringToFront", json!({})).await;
    }

    /// Whether the log of events has this text.
    pub async fn logs(&mut self, text: &str) -> bool {
        let found = format!("find('log').innerText.includes('{text}')");
        self.ask(&found).await == json!(true)
    }

    /// The value of an expression of JavaScript.
    pub async fn ask(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", params).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true, and tells how long that took.
    pub async fn wait_for(&mut self, expression: &str, within: Duration) -> Duration {
        let begin = Instant::now();
        while self.ask(expression).await != json!(true) {
            if begin.elapsed() > within {
                let text = self.ask("document.body.innerText").await;
                panic!(
                    "not within {within:?}: {expression}; the page is\n{}",
                    text.as_str().unwrap_or_default()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begin.elapsed()
    }

    /// Clicks at the middle of an element.
    pub async fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const element = document.querySelector('{selector}'); element.scrollIntoView({{ block: 'center' }}); \
             const box = element.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let middle = self.ask(&middle).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({
                "type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", params).await;
        }
    }

    /// Presses and releases a key, such as `Tab` or `Enter`.
    pub async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            _ => panic!("the code of {key} is not known here"),
        };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    /// What the console has said of errors and warnings, and exceptions.
    pub async fn complaints(&mut self) -> Vec<String> {
        // The answer comes after all that was said before.
        self.ask("0").await;
        let bad = ["error", "warning", "assert"];
        let is_bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                bad.contains(&event["params"]["type"].as_str().unwrap_or_default())
            }
            Some("Log.entryAdded") => bad.contains(
                &event["params"]["entry"]["level"]
                    .as_str()
                    .unwrap_or_default(),
            ),
            _ => false,
        };
        self.events
            .iter()
            .filter(is_bad)
            .map(Value::to_string)
            .collect()
    }
}
