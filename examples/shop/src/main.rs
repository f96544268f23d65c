//! The shop as a program.

use std::error::Error;
use std::io::Write as _;

use clap::Parser;
use watchbell_example_shop::{Open, Options};

/// A small web shop that writes access.log, app.log and auth.log
#[derive(Parser)]
#[command(
    after_help = "Routes: GET /, GET /products/NAME, GET and POST /cart, POST /login, POST /checkout\n\n\
                        Try: curl -d user=alice -d password=wrong http://127.0.0.1:8080/login"
)]
struct Command {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shop = Open::new(&Command::parse().options).await?;
    writeln!(std::io::stdout(), "listening on http://{}", shop.address()?)?;
    shop.serve(async {
        // Without a handler for Ctrl-C the system's own way to end is as good.
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    Ok(())
}
