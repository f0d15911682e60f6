//! What is measured: servers, clients, and the rows of the table with their goals.
//!
//! Goals are those of the project's performance notes, as ratios or as times over a raw socket in the same round.
//! Not here: how turns are taken (`driver`).

use crate::job::Job;

/// `Client` is one participant; the name is the worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    XdevLlm,
    Raw,
    RawBody,
    AsyncOpenAi,
    Requests,
    Httpx,
    OpenAi,
    /// Python's `json`.
    Json,
    /// A program that does nothing.
    True,
    Curl,
    Python,
}

impl Client {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Client::XdevLlm => "xdev-llm",
            Client::Raw => "raw",
            Client::RawBody => "raw-body",
            Client::AsyncOpenAi => "async-openai",
            Client::Requests => "requests",
            Client::Httpx => "httpx",
            Client::OpenAi => "openai",
            Client::Json => "json",
            Client::True => "true",
            Client::Curl => "curl",
            Client::Python => "python",
        }
    }

    pub(crate) fn is_python(self) -> bool {
        matches!(self, Client::Requests | Client::Httpx | Client::OpenAi | Client::Json)
    }
}

/// `Measure` is what a row shows of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The time of one go.
    Time,
    /// The time of one go less that of the raw socket in the same round.
    OverRaw,
    /// CPU seconds for a million tokens.
    Cpu,
    /// The most memory the process had, in MB.
    Peak,
    /// The time of one go divided by that of another client in the same round.
    Share(Client),
}

/// `Row` is one line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) measure: Measure,
    /// In the row's unit; our value is to be at most this.
    pub(crate) goal: Option<f64>,
}

/// `Unit` is the unit times are shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Microseconds => "us",
            Unit::Milliseconds => "ms",
        }
    }

    pub(crate) fn of_seconds(self, seconds: f64) -> f64 {
        match self {
            Unit::Microseconds => seconds * 1e6,
            Unit::Milliseconds => seconds * 1e3,
        }
    }
}

/// `Neighbours` is what else is on this machine when servers are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbours {
    None,
    /// Two ports that accept and say nothing.
    Silent,
}

/// `Scenario` is one thing measured, with all clients that can do it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) job: Job,
    /// The server the test server plays; `None` where there is none.
    pub(crate) server: Option<&'static str>,
    pub(crate) tokens: usize,
    /// Milliseconds before the first token.
    pub(crate) delay: u64,
    pub(crate) neighbours: Neighbours,
    pub(crate) clients: &'static [Client],
    pub(crate) unit: Unit,
    pub(crate) rows: &'static [Row],
}

impl Scenario {
    /// The raw socket a client is compared with: the one whose answer comes in the same form. Ours always streams,
    /// the others take a short answer as one body.
    pub(crate) fn raw(&self, client: Client) -> Client {
        let takes_body = client != Client::XdevLlm && self.clients.contains(&Client::RawBody);
        if takes_body { Client::RawBody } else { Client::Raw }
    }
}

const ALL: &[Client] =
    &[Client::XdevLlm, Client::Raw, Client::AsyncOpenAi, Client::Requests, Client::Httpx, Client::OpenAi];
const CALL: &[Client] = &[
    Client::XdevLlm,
    Client::Raw,
    Client::RawBody,
    Client::AsyncOpenAi,
    Client::Requests,
    Client::Httpx,
    Client::OpenAi,
];
const SCANNERS: &[Client] = &[Client::XdevLlm, Client::Requests, Client::Httpx];
const APPENDERS: &[Client] = &[Client::XdevLlm, Client::Json];

const fn row(measure: Measure, goal: f64) -> Row {
    Row { measure, goal: Some(goal) }
}

const TIME: Row = Row { measure: Measure::Time, goal: None };

const BASE: Scenario = Scenario {
    id: "",
    title: "",
    job: Job::Call,
    server: Some("generic"),
    tokens: 16,
    delay: 0,
    neighbours: Neighbours::None,
    clients: ALL,
    unit: Unit::Microseconds,
    rows: &[TIME],
};

/// Everything that is measured.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "a",
        title: "warm call, 16 tokens",
        clients: CALL,
        rows: &[TIME, row(Measure::OverRaw, 20.0)],
        ..BASE
    },
    Scenario {
        id: "b1",
        title: "stream of 2,000 tokens",
        job: Job::Stream,
        tokens: 2_000,
        unit: Unit::Milliseconds,
        rows: &[TIME, row(Measure::Cpu, 0.5)],
        ..BASE
    },
    Scenario {
        id: "b2",
        title: "stream of 100,000 tokens",
        job: Job::Stream,
        tokens: 100_000,
        unit: Unit::Milliseconds,
        rows: &[TIME, row(Measure::Cpu, 0.5), row(Measure::Peak, 12.0)],
        ..BASE
    },
    Scenario {
        id: "c",
        title: "first token of a server that takes 10 ms",
        job: Job::FirstToken,
        delay: 10,
        rows: &[TIME, row(Measure::OverRaw, 80.0)],
        ..BASE
    },
    Scenario {
        id: "d1",
        title: "first call of a new client, kind told",
        job: Job::FirstCall,
        rows: &[row(Measure::Time, 300.0)],
        ..BASE
    },
    Scenario {
        id: "d2",
        title: "first call of a new client, LM Studio, kind found out",
        job: Job::FirstCallUntold,
        server: Some("lmstudio"),
        clients: &[Client::XdevLlm, Client::Raw],
        ..BASE
    },
    Scenario {
        id: "e1",
        title: "look at all ports, all closed",
        job: Job::FindNone,
        server: None,
        clients: SCANNERS,
        unit: Unit::Milliseconds,
        ..BASE
    },
    Scenario {
        id: "e2",
        title: "first server found",
        job: Job::Find,
        server: Some("lmstudio"),
        clients: SCANNERS,
        unit: Unit::Milliseconds,
        rows: &[row(Measure::Time, 5.0)],
        ..BASE
    },
    Scenario {
        id: "e3",
        title: "first server found beside two silent ports",
        job: Job::Find,
        server: Some("lmstudio"),
        neighbours: Neighbours::Silent,
        clients: SCANNERS,
        unit: Unit::Milliseconds,
        rows: &[row(Measure::Time, 5.0)],
        ..BASE
    },
    Scenario {
        id: "f",
        title: "start: `--version`, python: `-c pass`",
        job: Job::Start,
        server: None,
        clients: &[Client::XdevLlm, Client::True, Client::Curl, Client::Python],
        unit: Unit::Milliseconds,
        rows: &[row(Measure::Time, 10.0)],
        ..BASE
    },
    Scenario {
        id: "g1",
        title: "append to 10 MB of history",
        job: Job::Append,
        server: None,
        clients: APPENDERS,
        unit: Unit::Milliseconds,
        rows: &[TIME, row(Measure::Share(Client::Json), 0.35)],
        ..BASE
    },
    Scenario {
        id: "g2",
        title: "append to 10 MB of ASCII-escaped history",
        job: Job::Append,
        server: None,
        clients: APPENDERS,
        unit: Unit::Milliseconds,
        rows: &[TIME, row(Measure::Share(Client::Json), 0.35)],
        ..BASE
    },
];
