//! The emulator, one for all tests: they share an account, so each has a name of its own for its stacks.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use watchbell::aws::{Account, Wanted};
use watchbell_aws::Part;
use watchbell_config::{Source, check};
use watchbell_model::{Aws, Plan, Timestamp};

/// Calls AWS as `{"service", "call", "arguments"}` say, and prints the answer.
const CALL: &str = r"
import botocore.session, json, sys
asked = json.loads(sys.argv[1])
client = botocore.session.get_session().create_client(
    asked['service'], endpoint_url=asked['endpoint'], region_name=asked['region'])
answer = getattr(client, asked['call'])(**asked['arguments'])
answer.pop('ResponseMetadata')
print(json.dumps(answer, default=str))
";

/// The region of all stacks.
pub(crate) const REGION: &str = "eu-central-1";

/// A running emulator.
pub(crate) struct Emulator {
    pub(crate) endpoint: String,
    python: PathBuf,
}

/// The emulator of this process; it ends with the process's namespace.
pub(crate) fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(Emulator::start)
}

impl Emulator {
    fn start() -> Emulator {
        let python = std::env::var_os("WATCHBELL_TEST_MINISTACK").map(PathBuf::from);
        let python = python
            .expect("run it with `cargo xtask test`: WATCHBELL_TEST_MINISTACK names the emulator's Python");
        assert_network_is_private();
        let port = free_port();
        let mut child = Command::new(&python)
            .args(["-m", "ministack"])
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(port, &mut child);
        Emulator { endpoint: format!("http://127.0.0.1:{port}"), python }
    }

    /// What another client of AWS gets.
    pub(crate) fn call(&self, service: &str, call: &str, arguments: &Value) -> Result<Value, String> {
        let asked = json!({ "service": service, "call": call, "arguments": arguments, "endpoint": self.endpoint, "region": REGION });
        let output = Command::new(&self.python).args(["-c", CALL]).arg(asked.to_string()).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The same, and it is answered.
    pub(crate) fn ask(&self, service: &str, call: &str, arguments: &Value) -> Value {
        self.call(service, call, arguments).unwrap_or_else(|error| panic!("{service} {call}: {error}"))
    }

    /// A plan on this emulator, of a file with these lines.
    pub(crate) fn plan(&self, name: &str, lines: &str) -> Plan {
        let text = format!(
            "version = 1\n{lines}\n[aws]\nname = \"{name}\"\nregion = \"{REGION}\"\nendpoint = \"{}\"\n",
            self.endpoint
        );
        let source = Source { name: "watchbell.toml", text: &text, folder: std::path::Path::new("/nowhere") };
        let checked = check(&source);
        checked
            .plan
            .unwrap_or_else(|| panic!("{}", watchbell_config::render(&checked.problems, &source, false)))
    }

    /// What `[aws]` says there.
    pub(crate) fn aws(&self, name: &str) -> Aws {
        self.plan(name, "").aws.unwrap()
    }
}

/// How many clients there were: each has a time of its own, which names its change sets.
static OPENED: AtomicI64 = AtomicI64::new(0);

/// The client, and what its calls run on.
pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    pub(crate) account: Account,
}

impl Client {
    pub(crate) fn open(aws: &Aws) -> Client {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let now = Timestamp(OPENED.fetch_add(1, Ordering::Relaxed));
        let account = runtime.block_on(Account::open(aws, now)).unwrap();
        Client { runtime, account }
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// A stack of this part.
pub(crate) fn wanted(name: &str, part: Part, template: Value) -> Wanted {
    Wanted { part, name: format!("{name}-{part}"), template }
}

/// The emulator opens ports on every address, so there must be no address that others can reach.
fn assert_network_is_private() {
    let interfaces = fs::read_to_string("/proc/net/dev").unwrap();
    let others: Vec<&str> = interfaces
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .filter(|name| *name != "lo")
        .collect();
    assert!(
        others.is_empty(),
        "run it with `cargo xtask test`: this network has {others:?}, and needs to be private"
    );
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// It has two minutes, on any machine.
fn wait_for(port: u16, child: &mut Child) {
    for _ in 0..1200 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return;
        }
        assert_eq!(child.try_wait().unwrap(), None, "the emulator has ended");
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the emulator does not listen");
}
