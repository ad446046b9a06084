//! A client of HTTP.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// The status and the document at this path.
#[track_caller]
pub(crate) fn get(address: &str, path: &str) -> (u16, Value) {
    request("GET", address, path)
}

#[track_caller]
pub(crate) fn request(method: &str, address: &str, path: &str) -> (u16, Value) {
    let (status, body) = text(method, address, path);
    let document = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (status, document)
}

#[track_caller]
pub(crate) fn text(method: &str, address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status.expect("a status"), body.to_owned())
}
