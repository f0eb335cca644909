//! When programs that nobody uses are looked for: at the start, after what may have freed some, and now
//! and then for those that were kept a while longer.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::wasm::Wasm;

/// The longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);

/// Looks for unused programs until `stop`, and whenever `freed` says that there may be some.
pub(crate) async fn collect(wasm: Arc<Wasm>, freed: Arc<Notify>, stop: CancellationToken) {
    let collecting = async {
        loop {
            wasm.collect().await;
            let _either = tokio::time::timeout(LOOK_EVERY, freed.notified()).await;
        }
    };
    stop.run_until_cancelled(collecting).await;
}
