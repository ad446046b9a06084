//! Sentinels that the settings do not name.

use crate::{
    SOON,
    common::{Sentinels, eventually_async, left_out_on_embedded, sentinels::SERVICE, spawn},
    fail_over, patient,
};

#[tokio::test]
async fn row_137_sentinels_that_are_announced_are_learnt() {
    if left_out_on_embedded() {
        return;
    }
    let mut site = Sentinels::start();
    let url = Sentinels::url_of([site.sentinels[0].port], SERVICE);
    let (supervisor, main) = spawn(patient(url)).await;
    let mut events = supervisor.subscribe();
    site.add_sentinel();
    for sentinel in &site.sentinels {
        eventually_async(SOON, "it listens to all", || sentinel.is_heard()).await;
    }
    site.until_agreed();
    // The one that the settings name, so that only the others can tell.
    site.sentinels[0].kill();
    site.sentinels.remove(0);
    fail_over(&site, &mut events, &main).await;
    supervisor.shutdown(SOON).await;
}
