//! Carries bytes between a socket and a server in this process.

use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_buf, split};

use super::stream::MemoryStream;

/// The most that is on its way in each direction.
const BUFFER: usize = 16 * 1024;

/// Returns when the client has gone, or when all is written of a connection that the server has ended.
pub(super) async fn pump(socket: impl AsyncRead + AsyncWrite, server: MemoryStream) {
    let (socket_input, mut socket_output) = split(socket);
    let (server_output, mut server_input) = split(server);
    let requests = async {
        let mut reader = BufReader::with_capacity(BUFFER, socket_input);
        // However it ends, the client sends no more.
        let _ = copy_buf(&mut reader, &mut server_input).await;
        let _ = server_input.shutdown().await;
    };
    let replies = async {
        let mut reader = BufReader::with_capacity(BUFFER, server_output);
        let _ = copy_buf(&mut reader, &mut socket_output).await;
        let _ = socket_output.shutdown().await;
    };
    until_second(requests, replies).await;
}

/// Runs two futures, until the second one is over.
async fn until_second(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let mut is_first_over = false;
    poll_fn(|cx| {
        if !is_first_over {
            is_first_over = first.as_mut().poll(cx).is_ready();
        }
        second.as_mut().poll(cx)
    })
    .await;
}
