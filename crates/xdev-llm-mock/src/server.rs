//! The running server: accept loop, restarts, the log.
//!
//! What is read and sent on a connection is in `connection`; what is answered is decided by `servers` and
//! `control`.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::connection::converse;
use crate::http::Received;
use crate::memory::{Instance, Memory};
use crate::model::Model;
use crate::options::Options;
use crate::personality::Personality;
use crate::script::Script;

/// How often a waiting answer looks whether the client is still there.
pub(crate) const WATCH: Duration = Duration::from_millis(5);
/// Requests kept in the log; the oldest goes first.
const LOGGED: usize = 100_000;

/// `Request` is one request as logged.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path as sent, without the query.
    pub path: String,
    /// The query without `?`; empty when there is none.
    pub query: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
    /// The TCP connection, counted from 1.
    pub connection: u64,
    /// When the request was read, since the start of the server.
    pub at: Duration,
    /// The status answered; 0 while nothing was sent.
    pub status: u16,
    /// Tokens handed to the socket so far.
    pub tokens_sent: usize,
    /// Whether the answer was sent as intended, faults of the body included.
    pub finished: bool,
    /// When the client was seen to close or reset before the answer was finished, since the start of the server.
    pub client_closed: Option<Duration>,
}

impl Request {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether this asks for a chat: a POST to one of the chat paths.
    pub fn is_chat(&self) -> bool {
        let path = self.path.as_str();
        self.method == "POST"
            && (path.ends_with("/chat/completions") || path == "/api/chat" || path == "/api/v1/chat")
    }
}

type OnEnd = Arc<dyn Fn(&Request) + Send + Sync>;

/// `Queued` is a script with the moments its loading is counted from.
#[derive(Clone)]
pub(crate) struct Queued {
    pub(crate) script: Arc<Script>,
    set: Instant,
    first_chat: Arc<OnceLock<Instant>>,
}

impl Queued {
    fn new(script: Script) -> Queued {
        Queued { script: Arc::new(script), set: Instant::now(), first_chat: Arc::default() }
    }

    /// What is left of the load, counted from when the script was set.
    pub(crate) fn load_left_since_set(&self) -> Duration {
        self.script.loading.unwrap_or_default().saturating_sub(self.set.elapsed())
    }

    /// What is left of the load, counted from the first chat under this script.
    pub(crate) fn load_left_since_chat(&self) -> Duration {
        let first = self.first_chat.get_or_init(Instant::now);
        self.script.loading.unwrap_or_default().saturating_sub(first.elapsed())
    }
}

struct State {
    log: VecDeque<Arc<Mutex<Request>>>,
    script: Queued,
    queue: VecDeque<Queued>,
    sockets: HashMap<u64, Weak<TcpStream>>,
    connections: u64,
    on_end: Option<OnEnd>,
}

/// `Shared` is what all connections of one server see.
pub(crate) struct Shared {
    /// As the server was started. What may change while it runs is in `memory`.
    pub(crate) options: Options,
    pub(crate) memory: Memory,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
    stopped: AtomicBool,
    restart: Mutex<Option<Restart>>,
}

/// `Restart` is a wish to start anew.
struct Restart {
    model: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The script of the next chat; a pushed one is used up.
    pub(crate) fn take_script(&self) -> Queued {
        let mut state = self.state();
        state.queue.pop_front().unwrap_or_else(|| state.script.clone())
    }

    /// The script of the next chat, left where it is.
    pub(crate) fn next_script(&self) -> Arc<Script> {
        let state = self.state();
        Arc::clone(&state.queue.front().unwrap_or(&state.script).script)
    }

    /// The script of every chat.
    pub(crate) fn set_script(&self) -> Queued {
        self.state().script.clone()
    }

    pub(crate) fn replace_script(&self, script: Script) {
        self.state().script = Queued::new(script);
    }

    pub(crate) fn push_script(&self, script: Script) {
        self.state().queue.push_back(Queued::new(script));
    }

    /// The models, with `loaded` as it is now.
    pub(crate) fn models(&self) -> Vec<Model> {
        self.memory.state().models()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        // One lock at a time: a connection holds its entry and may want the state.
        let entries: Vec<Arc<Mutex<Request>>> = self.state().log.iter().cloned().collect();
        entries.iter().map(|entry| lock(entry).clone()).collect()
    }

    /// Logs a request, unless it is one that controls the mock.
    pub(crate) fn log(&self, connection: u64, received: &Received) -> Arc<Mutex<Request>> {
        let entry = Arc::new(Mutex::new(Request {
            method: received.method.clone(),
            path: received.path.clone(),
            query: received.query.clone(),
            headers: received.headers.clone(),
            body: received.body.clone(),
            connection,
            at: self.elapsed(),
            ..Request::default()
        }));
        if !crate::control::is_control(&received.path) {
            let mut state = self.state();
            if state.log.len() == LOGGED {
                state.log.pop_front();
            }
            state.log.push_back(Arc::clone(&entry));
            self.notify();
        }
        entry
    }

    /// Time since the start of the server.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn wished(&self) -> MutexGuard<'_, Option<Restart>> {
        self.restart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every connection, and listens again with that model after the time of a load.
    pub(crate) fn restart(&self, address: Option<SocketAddr>, model: Option<String>) {
        *self.wished() = Some(Restart { model });
        if let Some(address) = address {
            wake(address);
        }
    }

    fn close_connections(&self) {
        for socket in self.state().sockets.values().filter_map(Weak::upgrade) {
            drop(socket.shutdown(Shutdown::Both));
        }
    }

    /// Wakes who waits for a change of the log.
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Tells the observer that an answer has ended.
    pub(crate) fn observe_end(&self, request: &Request) {
        // The observer is called without the lock, so that it may ask for the log.
        let on_end = self.state().on_end.clone();
        if let Some(on_end) = on_end.filter(|_| !crate::control::is_control(&request.path)) {
            on_end(request);
        }
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.log.clear();
        state.queue.clear();
    }
}

pub(crate) fn lock(entry: &Mutex<Request>) -> MutexGuard<'_, Request> {
    entry.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `Mock` is a running server. Dropping it stops the server and closes every socket.
pub struct Mock {
    shared: Arc<Shared>,
    address: SocketAddr,
    accept: Option<JoinHandle<()>>,
}

impl fmt::Debug for Mock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mock")
            .field("personality", &self.shared.options.personality)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Mock {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When the loopback interface has no free port: use [`Mock::start_with`] to handle that.
    pub fn start(personality: Personality) -> Mock {
        Mock::start_with(personality.into()).expect("the loopback interface has a free port")
    }

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub fn start_with(options: Options) -> io::Result<Mock> {
        let listener = TcpListener::bind(options.address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            started: Instant::now(),
            state: Mutex::new(State {
                log: VecDeque::new(),
                script: Queued::new(options.script.clone()),
                queue: VecDeque::new(),
                sockets: HashMap::new(),
                connections: 0,
                on_end: None,
            }),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            restart: Mutex::new(None),
            memory: Memory::new(&options),
            options,
        });
        let accept = thread::Builder::new().name("mock-accept".into()).spawn({
            let shared = Arc::clone(&shared);
            move || serve(listener, address, &shared)
        })?;
        Ok(Mock { shared, address, accept: Some(accept) })
    }

    /// The base address, such as `http://127.0.0.1:40123`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port listened on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the script of every chat from now on.
    pub fn set_script(&self, script: Script) {
        self.shared.replace_script(script);
    }

    /// Sets the script of one chat; several wait in a queue, used before the set one.
    pub fn push_script(&self, script: Script) {
        self.shared.push_script(script);
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests()
    }

    /// The chat requests so far, in order of arrival.
    pub fn chats(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::is_chat).collect()
    }

    /// Forgets the log and the queued scripts.
    pub fn clear(&self) {
        self.shared.clear();
    }

    /// The models, with `loaded` as it is now.
    pub fn models(&self) -> Vec<Model> {
        self.shared.models()
    }

    /// Puts other models in the place of those there are; those marked as loaded are in memory at once.
    pub fn set_models(&self, models: Vec<Model>) {
        self.shared.memory.state().set_models(models);
    }

    /// What is in memory, on its way in or out, or failed to come in.
    pub fn instances(&self) -> Vec<Instance> {
        self.shared.memory.state().instances().to_vec()
    }

    /// Changes delays, failures and limits while the server runs; what it is and where it listens stays.
    pub fn change_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.shared.memory.state().options);
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state().connections as usize
    }

    /// Waits until `reached` says true of the log; false when `timeout` is over first.
    pub fn wait_for(&self, timeout: Duration, reached: impl Fn(&[Request]) -> bool) -> bool {
        let until = Instant::now() + timeout;
        loop {
            if reached(&self.requests()) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let state = self.shared.state();
            drop(self.shared.changed.wait_timeout(state, left.min(WATCH)));
        }
    }

    /// Calls `observer` with every request once its answer has ended, in whatever way.
    pub fn on_end(&self, observer: impl Fn(&Request) + Send + Sync + 'static) {
        self.shared.state().on_end = Some(Arc::new(observer));
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let woken = wake(self.address);
        if let Some(accept) = self.accept.take().filter(|_| woken) {
            drop(accept.join());
        }
        self.shared.close_connections();
    }
}

/// Wakes the accept loop with a connection that is not wanted itself; false when nobody listens.
fn wake(mut address: SocketAddr) -> bool {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Serves until the server is stopped, with a pause at every restart.
fn serve(mut listener: TcpListener, address: SocketAddr, shared: &Arc<Shared>) {
    loop {
        accept(&listener, shared);
        shared.close_connections();
        drop(listener);
        let Some(restart) = shared.wished().take() else {
            return;
        };
        shared.memory.state().restart(restart.model.as_deref());
        // The port is kept while nobody listens, so that nobody else gets it.
        let until = Instant::now() + shared.memory.state().options.load_delay;
        let socket = loop {
            match reserve(address) {
                Ok(socket) => break socket,
                Err(_) if shared.stopped() => return,
                Err(_) => thread::sleep(WATCH),
            }
        };
        while Instant::now() < until && !shared.stopped() {
            thread::sleep(WATCH);
        }
        if shared.stopped() || socket.listen(128).is_err() {
            return;
        }
        listener = socket.into();
    }
}

fn reserve(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let stream = listener.accept();
        if shared.stopped() || shared.wished().is_some() {
            return;
        }
        let Ok((stream, _)) = stream else {
            // Out of file descriptors, most likely: they come back when connections end.
            thread::sleep(WATCH);
            continue;
        };
        let stream = Arc::new(stream);
        let id = {
            let mut state = shared.state();
            state.connections += 1;
            let id = state.connections;
            state.sockets.insert(id, Arc::downgrade(&stream));
            id
        };
        let shared = Arc::clone(shared);
        let serve = move || {
            converse(&shared, id, &stream);
            shared.state().sockets.remove(&id);
        };
        // Without a thread the stream is dropped and the client sees a close.
        drop(thread::Builder::new().name(format!("mock-{id}")).spawn(serve));
    }
}
