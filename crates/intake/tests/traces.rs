//! Stack traces as each language writes them, between ordinary lines.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use watchbell_intake::{Joiner, Run, Verdict, without_blank_end};
use watchbell_model::{Multiline, MultilineBy};

fn joined(joiner: &Joiner, text: &str) -> Vec<String> {
    let mut run = Run::default();
    let mut events: Vec<String> = Vec::new();
    for line in text.split('\n') {
        match (joiner.see(&mut run, line.as_bytes()), events.last_mut()) {
            (Verdict::Continues, Some(event)) => *event = format!("{event}\n{line}"),
            _ => events.push(line.to_owned()),
        }
    }
    events
        .iter()
        .map(|event| String::from_utf8(without_blank_end(event.as_bytes()).to_vec()).unwrap())
        .collect()
}

/// Events of some program, in order; also when reading begins at any of them.
fn assert_events(by: MultilineBy, events: &[&str]) {
    let joiner = Joiner::new(&Multiline { by, timeout_ms: 1000, lines_max: 500 }).unwrap();
    for from in 0..events.len() {
        assert_eq!(joined(&joiner, &events[from..].join("\n")), events[from..], "from {from}");
    }
}

#[test]
fn java() {
    assert_events(
        MultilineBy::Java,
        &[
            "2026-11-22 21:11:52,125 INFO  [main] shop.Cart - 3 items",
            "2026-11-22 21:11:52,130 ERROR [main] shop.Cart - cannot pay\n\
             shop.PaymentException: declined by shop.bank\n\
             \tat shop.Cart.pay(Cart.java:42)\n\
             \tat shop.Cart.<init>(Cart.java:7) ~[cart.jar:1.0]\n\
             \tSuppressed: java.io.IOException: closed\n\
             \t\tat shop.Wire.close(Wire.java:9)\n\
             Caused by: java.net.ConnectException: refused\n\
             \tat shop.Wire.open(Wire.java:5)\n\
             \t... 12 more",
            "2026-11-22 21:11:53,000 INFO  [main] shop.Cart - going on",
            "Exception in thread \"main\" java.lang.IllegalStateException\n\tat shop.Main.main(Main.java:3)",
            "java.lang.OutOfMemoryError: Java heap space\n\tat shop.Cart.grow(Cart.java:1)",
            "",
            "2026-11-22 21:11:54,000 WARN  [main] shop.Cart - last words",
        ],
    );
}

#[test]
fn python() {
    assert_events(
        MultilineBy::Python,
        &[
            "INFO:shop:3 items",
            "Traceback (most recent call last):\n  File \"cart.py\", line 3, in <module>\n    pay()\n    ~~~^^\nKeyError: 'bank'",
            "INFO:shop:going on",
            "ERROR:shop:cannot pay\n\
             Traceback (most recent call last):\n  File \"cart.py\", line 3, in pay\n    bank.pay()\n\
             requests.exceptions.ConnectionError: refused\n\
             \n\
             During handling of the above exception, another exception occurred:\n\
             \n\
             Traceback (most recent call last):\n  File \"cart.py\", line 9, in main\n    pay()\n\
             ValueError: no bank",
            "WARNING:shop:going on",
            "ERROR:shop:two at once\n  + Exception Group Traceback (most recent call last):\n  |   File \"cart.py\", line 1, in <module>\n  | ExceptionGroup: two\n  +-+---------------- 1 ----------------\n    | ValueError: one",
            "INFO:shop:done",
        ],
    );
}

#[test]
fn go() {
    assert_events(
        MultilineBy::Go,
        &[
            "2026/11/22 21:11:52 INFO 3 items",
            "panic: runtime error: index out of range [3] with length 2\n\
             \n\
             goroutine 1 [running]:\n\
             main.(*Cart).pay(0xc000012345, {0x4b1234, 0x3})\n\
             \t/app/cart.go:42 +0x1d\n\
             main.main()\n\
             \t/app/main.go:7 +0x25\n\
             created by main.start in goroutine 7\n\
             \t/app/main.go:3 +0x8b\n\
             exit status 2",
            "2026/11/22 21:11:53 INFO started again",
            "2026/11/22 21:11:54 http: panic serving 127.0.0.1:5000: no bank\n\
             goroutine 18 [running]:\n\
             net/http.(*conn).serve.func1()\n\
             \t/go/src/net/http/server.go:1898 +0xbe",
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/app/main.go:5 +0x2d",
            "2026/11/22 21:11:55 WARN last words",
        ],
    );
}

#[test]
fn node() {
    assert_events(
        MultilineBy::Node,
        &[
            "[21:11:52] info 3 items",
            "TypeError: Cannot read properties of undefined (reading 'bank')\n    at pay (/app/cart.js:42:7)\n    at async main (/app/main.js:3:1)",
            "[21:11:52] info going on",
            "[21:11:53] ERROR cannot pay\n\
             Error: connect ECONNREFUSED 127.0.0.1:5000\n\
             \x20   at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {\n\
             \x20 code: 'ECONNREFUSED',\n\
             \x20 [cause]: undefined\n\
             }",
            "/app/main.js:3\n  throw new Error('no bank');\n        ^\n\nError: no bank\n    at main (/app/main.js:3:9)\n\nNode.js v20.11.1",
            "[21:11:54] info started again",
        ],
    );
}

#[test]
fn rust() {
    assert_events(
        MultilineBy::Rust,
        &[
            "2026-11-22T21:11:52Z  INFO shop: 3 items",
            "thread 'main' panicked at src/cart.rs:42:5:\n\
             no bank\n\
             stack backtrace:\n\
             \x20  0: rust_begin_unwind\n\
             \x20            at /rustc/library/std/src/panicking.rs:689:5\n\
             \x20  1: shop::cart::pay\n\
             note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
            "2026-11-22T21:11:53Z  INFO shop: going on",
            "thread 'worker' (4711) panicked at src/cart.rs:7:5:\n\
             assertion `left == right` failed\n  left: 1\n right: 2\n\
             note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            "Error: cannot pay\n\nCaused by:\n    0: the bank did not answer\n    1: connection refused",
            "2026-11-22T21:11:54Z ERROR shop: last words",
        ],
    );
}

#[test]
fn dotnet() {
    assert_events(
        MultilineBy::Dotnet,
        &[
            "info: Shop.Cart[0]\n      3 items",
            "fail: Shop.Cart[7]\n      cannot pay\n      Shop.PaymentException: declined\n         at Shop.Cart.Pay() in /app/Cart.cs:line 42",
            "Unhandled exception. System.InvalidOperationException: no bank\n\
             \x20---> System.Net.Sockets.SocketException (111): Connection refused\n\
             \x20  at Shop.Wire.Open()\n\
             \x20  --- End of inner exception stack trace ---\n\
             \x20  at Shop.Program.Main(String[] args) in /app/Program.cs:line 3",
            "info: Shop.Cart[0]\n      started again",
            "2026-11-22 21:11:52 [ERR] ERROR cannot pay\nShop.PaymentException: declined\n   at Shop.Cart.Pay()\n--- End of stack trace from previous location ---\n   at Shop.Cart.Main()",
        ],
    );
}

#[test]
fn a_trace_after_a_line_that_says_nothing_is_wrong_is_an_event_of_its_own() {
    assert_events(
        MultilineBy::Java,
        &["INFO serving", "java.lang.Error: x\n\tat a.B.c(B.java:1)", "ERROR it broke\njava.lang.Error: x"],
    );
}
