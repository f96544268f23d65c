//! `watchbell demo-shop`: the example's shop as a process of its own, for `watchbell demo`.

use std::io::Read;

use tokio::sync::oneshot;
use watchbell_example_shop::{Open, Options};

use super::{runtime, unavailable};
use crate::cli::written;
use crate::{Failure, out};

/// Says where it listens, and serves until its standard input closes.
pub(in crate::cli) fn run(options: &Options) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let shop = Open::new(options).await.map_err(unavailable)?;
        let address = shop.address().map_err(unavailable)?;
        written(out::line(&address.to_string()))?;
        let (close, closed) = oneshot::channel();
        std::thread::spawn(move || {
            // The end of the pipe, or an error: in both cases whoever started us is gone.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = close.send(());
        });
        let closed = async {
            let _ = closed.await;
        };
        shop.serve(closed).await.map_err(unavailable)
    })
}
