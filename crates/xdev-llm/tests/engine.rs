//! The engine as a child process: with a fake llama-server that has bad manners, and with the real one.
//!
//! The real engine is looked for in the data folder that `XDEV_LLM_DATA_DIR` names; where it is not
//! installed, its tests print a line that begins with SKIPPED, or fail where `XDEV_LLM_REQUIRE_ENGINE` is 1.
//! Not here: the parts that need no process (unit tests beside the code).
#![cfg(all(target_os = "linux", feature = "engine"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xdev_llm::engine::{self, Checksum, Engine, EngineOptions, KeptEngine, Origin};
use xdev_llm::{CacheType, ErrorKind, Progress, Shape, check_gguf};

/// Tells a copy of this test program which helper to be; its value is the helper's argument.
const BE_WATCH: &str = "XDEV_LLM_TEST_BE_WATCH";
const BE_PARENT: &str = "XDEV_LLM_TEST_BE_PARENT";
const BE_INSTALLER: &str = "XDEV_LLM_TEST_BE_INSTALLER";
const BE_KEEPER: &str = "XDEV_LLM_TEST_BE_KEEPER";

fn quiet(_: Progress) {}

/// Options that run the fake with `arguments`; it writes its process id to `pid` in `folder`.
fn fake(folder: &TempDir, arguments: &str) -> EngineOptions {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_llama_server.py");
    let command = format!(
        "python3 {} --model none --pid-file {} {arguments}",
        script.display(),
        pid_file(folder).display()
    );
    EngineOptions {
        command: Some(command),
        watch: watch(),
        start_timeout: Duration::from_secs(20),
        ..EngineOptions::new(folder.path().to_owned())
    }
}

fn pid_file(folder: &TempDir) -> PathBuf {
    folder.path().join("pid")
}

/// The process id of the fake itself, behind its wrapper.
fn fake_pid(folder: &TempDir) -> u32 {
    fs::read_to_string(pid_file(folder)).unwrap().parse().unwrap()
}

/// This test program as the wrapper; the words of the command reach it in an environment variable.
fn watch() -> Vec<OsString> {
    let script = format!("export {BE_WATCH}=\"$*\"; exec \"$0\" --exact be_watch --nocapture");
    vec!["sh".into(), "-c".into(), script.into(), env::current_exe().unwrap().into()]
}

#[test]
fn be_watch() {
    if let Ok(command) = env::var(BE_WATCH) {
        // The child must not take itself for the wrapper.
        let command = format!("unset {BE_WATCH}; exec {command}");
        engine::watch(["sh".into(), "-c".into(), command.into()].into_iter());
    }
}

/// Starts an engine, prints its process id and lives until it is killed.
#[tokio::test]
async fn be_parent() {
    let Ok(argument) = env::var(BE_PARENT) else { return };
    let options = if let Some(data_dir) = argument.strip_prefix("real ") {
        EngineOptions::new(data_dir.into())
    } else {
        EngineOptions {
            command: Some(argument),
            watch: watch(),
            ..EngineOptions::new(PathBuf::from("/nonexistent"))
        }
    };
    let engine = Engine::start(&options, quiet).await.unwrap();
    println!("\npid {}", engine.pid());
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// Runs the background engine in the folder that the variable names.
#[tokio::test]
async fn be_keeper() {
    let Ok(argument) = env::var(BE_KEEPER) else { return };
    let (idle, command) = argument.split_once(' ').unwrap();
    let state_dir = env::var_os("XDEV_LLM_TEST_STATE").unwrap();
    let options = EngineOptions {
        command: Some(command.to_owned()),
        watch: watch(),
        ..EngineOptions::new(PathBuf::from("/nonexistent"))
    };
    engine::keep(&options, Duration::from_millis(idle.parse().unwrap()), Path::new(&state_dir))
        .await
        .unwrap();
}

/// Whether the process runs; one that is dead and not yet collected does not.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ended(pid: u32) {
    wait_until("the process ends", async || !is_running(pid)).await;
}

/// Sends one request and gives the whole answer as text.
async fn ask(url: &str, method: &str, path: &str, key: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_fake_starts_serves_and_stops_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = fake(&folder, "--own flag");
    options.threads = Some(3);
    let mut calls = 0;
    let mut engine = Engine::start(&options, |_| calls += 1).await.unwrap();
    assert!(calls > 0 && engine.is_alive());
    let arguments = ask(engine.url(), "GET", "/arguments", engine.key().expose_secret(), "").await;
    let arguments = arguments.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(
        arguments,
        "--model none --own flag --host 127.0.0.1 --poll 0 LLAMA_ARG_CACHE_RAM=1024 LLAMA_ARG_CTX_SIZE=8192 \
         LLAMA_ARG_KV_UNIFIED=1 LLAMA_ARG_N_PARALLEL=4 LLAMA_ARG_THREADS=3 LLAMA_ARG_UI=0 OMP_NUM_THREADS=3 \
         OMP_WAIT_POLICY=passive"
    );
    let lines = fs::read_to_string(format!("/proc/{}/cmdline", fake_pid(&folder))).unwrap();
    assert!(!lines.contains(engine.key().expose_secret()), "the key is not in the list of processes");
    let (wrapper, server) = (engine.pid(), fake_pid(&folder));
    assert_ne!(wrapper, server);
    engine.stop().await.unwrap();
    assert!(!Path::new(&format!("/proc/{wrapper}")).exists(), "no zombie is left");
    ended(server).await;
}

#[tokio::test]
async fn one_that_ignores_the_request_to_stop_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(&fake(&folder, "--behave deaf"), quiet).await.unwrap();
    engine.stop().await.unwrap();
    ended(fake_pid(&folder)).await;
}

#[tokio::test]
async fn without_a_wrapper_it_is_killed_after_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { watch: Vec::new(), ..fake(&folder, "") };
    let engine = Engine::start(&options, quiet).await.unwrap();
    let pid = engine.pid();
    assert_eq!(pid, fake_pid(&folder));
    engine.stop().await.unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "no zombie is left");
}

#[tokio::test]
async fn dropping_it_kills_it_and_its_child_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(&fake(&folder, "--behave deaf"), quiet).await.unwrap();
    let wrapper = engine.pid();
    drop(engine);
    assert!(!Path::new(&format!("/proc/{wrapper}")).exists(), "no zombie is left");
    ended(fake_pid(&folder)).await;
}

#[tokio::test]
async fn one_that_ends_while_starting_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { watch: Vec::new(), ..fake(&folder, "--behave exit") };
    let error = Engine::start(&options, quiet).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert_eq!(
        error.message(),
        "The engine ended while starting (exit 7). Its last lines:\nerror: unknown flash attention"
    );
}

#[tokio::test]
async fn one_that_never_gets_ready_is_given_up_and_killed() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { start_timeout: Duration::from_secs(2), ..fake(&folder, "--behave load") };
    let error = Engine::start(&options, quiet).await.unwrap_err();
    assert!(error.message().starts_with("The engine was not ready after 2 s."), "{error}");
    ended(fake_pid(&folder)).await;
}

#[tokio::test]
async fn one_that_asks_for_no_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Engine::start(&fake(&folder, "--behave open"), quiet).await.unwrap_err();
    assert!(error.message().ends_with("it serves them without the key it was given."), "{error}");
    ended(fake_pid(&folder)).await;
}

#[tokio::test]
async fn a_crash_is_told_and_mended_three_times_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { watch: Vec::new(), ..fake(&folder, "") };
    let mut engine = Engine::start(&options, quiet).await.unwrap();
    assert_eq!(engine.ensure(quiet).await.unwrap(), None);
    for _ in 0..3 {
        ask(engine.url(), "GET", "/exit/3", engine.key().expose_secret(), "").await;
        assert_eq!(engine.wait_exit().await.unwrap().code, Some(3));
        let news = engine.ensure(quiet).await.unwrap();
        assert_eq!(news.as_deref(), Some("the engine crashed (exit 3); restarted"));
    }
    ask(engine.url(), "GET", "/exit/3", engine.key().expose_secret(), "").await;
    let exit = engine.wait_exit().await.unwrap();
    assert_eq!(exit.last_lines.last().map(String::as_str), Some("ggml_abort: something broke"));
    let error = engine.ensure(quiet).await.unwrap_err();
    assert!(
        error.message().starts_with("The engine crashed (exit 3) for the fourth time in a minute"),
        "{error}"
    );
    assert!(error.message().ends_with("ggml_abort: something broke"), "{error}");
}

#[tokio::test]
async fn a_dead_wrapper_takes_its_child_along() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = Engine::start(&fake(&folder, ""), quiet).await.unwrap();
    kill(engine.pid(), "KILL");
    let exit = engine.wait_exit().await.unwrap();
    assert_eq!(exit.to_string(), "signal 9");
    ended(fake_pid(&folder)).await;
}

fn kill(pid: u32, signal: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status().unwrap();
    assert!(status.success());
}

/// Runs a copy of this program as the parent of an engine; gives both process ids once the engine serves.
fn parent_of(argument: &str) -> (std::process::Child, u32) {
    let mut parent = Command::new(env::current_exe().unwrap())
        .args(["--exact", "be_parent", "--nocapture"])
        .env(BE_PARENT, argument)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("pid ").and_then(|pid| pid.parse().ok()))
        .expect("the parent starts its engine");
    (parent, pid)
}

#[tokio::test]
async fn kill_9_of_the_parent_leaves_no_orphan_behind_a_wrapper() {
    let folder = tempfile::tempdir().unwrap();
    let command = fake(&folder, "--behave deaf").command.unwrap();
    let (mut parent, wrapper) = parent_of(&command);
    let server = fake_pid(&folder);
    assert!(is_running(wrapper) && is_running(server));
    parent.kill().unwrap();
    parent.wait().unwrap();
    ended(server).await;
    ended(wrapper).await;
}

/// Compiles only while a multi-threaded runtime can run them.
#[test]
fn the_futures_are_send() {
    fn send(_: impl Send) {}
    let folder = tempfile::tempdir().unwrap();
    let options = fake(&folder, "");
    send(Engine::start(&options, quiet));
    send(KeptEngine::new(options.clone(), Duration::ZERO).lease(quiet));
    send(engine::keep(&options, Duration::ZERO, folder.path()));
    send(engine::start_background(&[], folder.path(), Duration::ZERO));
}

#[tokio::test]
async fn a_kept_engine_starts_on_use_and_stops_when_idle() {
    let folder = tempfile::tempdir().unwrap();
    let kept = KeptEngine::new(fake(&folder, ""), Duration::from_millis(300));
    assert!(!kept.is_up().await);
    let lease = kept.lease(quiet).await.unwrap();
    let first = fake_pid(&folder);
    let second = kept.lease(quiet).await.unwrap();
    assert_eq!((lease.url(), lease.restarted()), (second.url(), None));
    drop(second);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(is_running(first), "a leased engine stays");
    drop(lease);
    wait_until("the idle engine stops", async || !kept.is_up().await).await;
    ended(first).await;
    let lease = kept.lease(quiet).await.unwrap();
    assert!(ask(lease.url(), "GET", "/health", "", "").await.starts_with("HTTP/1.0 200"));
    ask(lease.url(), "GET", "/exit/1", lease.key().expose_secret(), "").await;
    wait_until("the crash is seen", async || !kept.is_up().await).await;
    let again = kept.lease(quiet).await.unwrap();
    assert!(again.restarted().unwrap().starts_with("the engine crashed"), "{again:?}");
    let last = fake_pid(&folder);
    kept.stop().await.unwrap();
    ended(last).await;
}

/// The command of a background process on the fake.
fn keeper(folder: &TempDir, idle_ms: u64) -> Vec<OsString> {
    let command = fake(folder, "").command.unwrap();
    let script = format!(
        "export {BE_KEEPER}='{idle_ms} {command}' XDEV_LLM_TEST_STATE='{}'; exec \"$0\" --exact be_keeper --nocapture",
        folder.path().display()
    );
    vec!["sh".into(), "-c".into(), script.into(), env::current_exe().unwrap().into()]
}

#[tokio::test]
async fn a_background_engine_is_found_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    assert!(engine::running_background(state).await.is_none());
    let limit = Duration::from_secs(20);
    let started = engine::start_background(&keeper(&folder, 600_000), state, limit).await.unwrap();
    let again = engine::start_background(&keeper(&folder, 600_000), state, limit).await.unwrap();
    assert_eq!((started.pid, &started.url), (again.pid, &again.url), "one is enough");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(state.join("engine.json")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    assert!(engine::stop_background(state).await.unwrap());
    assert!(engine::running_background(state).await.is_none());
    assert!(!engine::stop_background(state).await.unwrap());
    ended(started.pid).await;
    ended(fake_pid(&folder)).await;
}

#[tokio::test]
async fn a_background_engine_stops_when_nobody_touches_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let started =
        engine::start_background(&keeper(&folder, 1500), state, Duration::from_secs(20)).await.unwrap();
    for _ in 0..10 {
        engine::touch_background(state).unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(is_running(started.pid), "a touched engine stays");
    ended(started.pid).await;
    ended(fake_pid(&folder)).await;
    assert!(!state.join("engine.json").exists());
}

#[tokio::test]
async fn a_background_engine_mends_crashes_and_obeys_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let limit = Duration::from_secs(20);
    let started = engine::start_background(&keeper(&folder, 600_000), state, limit).await.unwrap();
    ask(&started.url, "GET", "/exit/1", started.key.expose_secret(), "").await;
    wait_until("another one serves", async || {
        engine::running_background(state).await.is_some_and(|running| running.url != started.url)
    })
    .await;
    assert!(fs::read_to_string(state.join("engine.log")).unwrap().contains("the engine crashed"));
    kill(started.pid, "TERM");
    ended(started.pid).await;
    ended(fake_pid(&folder)).await;
    assert!(!state.join("engine.json").exists());
}

#[tokio::test]
async fn a_killed_background_process_takes_its_engine_along_and_its_record_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let limit = Duration::from_secs(20);
    let started = engine::start_background(&keeper(&folder, 600_000), state, limit).await.unwrap();
    kill(started.pid, "KILL");
    ended(fake_pid(&folder)).await;
    wait_until("the record is removed", async || {
        assert!(engine::running_background(state).await.is_none());
        !state.join("engine.json").exists()
    })
    .await;
}

#[tokio::test]
async fn a_background_process_that_fails_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let command = ["sh", "-c", "echo no engine here; exit 4"].map(OsString::from);
    let error = engine::start_background(&command, folder.path(), Duration::from_secs(20)).await.unwrap_err();
    assert!(error.message().ends_with("(exit status: 4). It said:\nno engine here"), "{error}");
}

#[tokio::test]
async fn a_bad_model_is_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("model.gguf");
    fs::write(&page, "<html>not found</html>").unwrap();
    let options = EngineOptions {
        command: Some("sh -c true".into()),
        model: Some(page),
        ..EngineOptions::new(folder.path().to_owned())
    };
    let error = Engine::start(&options, quiet).await.unwrap_err();
    assert!(error.message().contains("is not a GGUF file"), "{error}");
}

/// The installed engine, or `None` and a line that says so.
fn real() -> Option<EngineOptions> {
    let data_dir = PathBuf::from(env::var_os("XDEV_LLM_DATA_DIR").unwrap_or_default());
    let installed = data_dir.join("engine/python").is_dir();
    if !installed {
        let required = env::var_os("XDEV_LLM_REQUIRE_ENGINE").is_some_and(|value| value == "1");
        assert!(!required, "the engine is not installed in {}", data_dir.display());
        // Written past the test harness, which hides what a passing test prints.
        let skipped = b"SKIPPED (engine not installed): set XDEV_LLM_DATA_DIR to a data folder with one\n";
        io::stderr().write_all(skipped).unwrap();
        return None;
    }
    Some(EngineOptions::new(data_dir))
}

#[tokio::test]
async fn the_real_engine_starts_answers_and_stops() {
    let Some(options) = real() else { return };
    let mut engine = Engine::start(&options, quiet).await.unwrap();
    assert_eq!(engine.program().origin, Origin::Installed);
    let key = engine.key().expose_secret().to_owned();
    let health = ask(engine.url(), "GET", "/health", "", "").await;
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\r\nServer: llama.cpp\r\n"), "{health}");
    assert!(ask(engine.url(), "GET", "/v1/models", "wrong", "").await.starts_with("HTTP/1.1 401"));
    let models = ask(engine.url(), "GET", "/v1/models", &key, "").await;
    assert!(models.contains("\"owned_by\":\"llamacpp\"") && models.contains("\"n_ctx\":8192"), "{models}");
    let slots = ask(engine.url(), "GET", "/slots", &key, "").await;
    assert_eq!(slots.matches("\"is_processing\":false").count(), 4, "{slots}");
    let body = r#"{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":8}"#;
    let answer = ask(engine.url(), "POST", "/v1/chat/completions", &key, body).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"finish_reason\""), "{answer}");
    assert!(engine.is_alive());
    let pid = engine.pid();
    engine.stop().await.unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "no zombie is left");
}

#[tokio::test]
async fn the_real_engine_stops_in_the_middle_of_an_answer() {
    let Some(options) = real() else { return };
    let engine = Engine::start(&options, quiet).await.unwrap();
    let (url, key) = (engine.url().to_owned(), engine.key().expose_secret().to_owned());
    let answer = tokio::spawn(async move {
        let body = r#"{"messages":[{"role":"user","content":"Count."}],"max_tokens":4000,"ignore_eos":true}"#;
        ask(&url, "POST", "/v1/chat/completions", &key, body).await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begin = Instant::now();
    engine.stop().await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(!answer.await.is_ok_and(|answer| answer.contains("finish_reason")));
}

#[tokio::test]
async fn kill_9_of_the_parent_leaves_no_real_orphan() {
    let Some(options) = real() else { return };
    let (mut parent, engine) = parent_of(&format!("real {}", options.data_dir.display()));
    assert!(is_running(engine));
    parent.kill().unwrap();
    parent.wait().unwrap();
    ended(engine).await;
}

#[tokio::test]
async fn a_real_engine_that_was_killed_is_started_again() {
    let Some(options) = real() else { return };
    let mut engine = Engine::start(&options, quiet).await.unwrap();
    kill(engine.pid(), "KILL");
    assert_eq!(engine.wait_exit().await.unwrap().signal, Some(9));
    let news = engine.ensure(quiet).await.unwrap();
    assert_eq!(news.as_deref(), Some("the engine crashed (signal 9); restarted"));
    assert!(ask(engine.url(), "GET", "/health", "", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_truncated_copy_of_the_real_model_is_refused() {
    let Some(options) = real() else { return };
    let status = engine::status(&options);
    let model = status.model.unwrap();
    assert_eq!((model.checksum, model.size), (Checksum::Matches, 98_362_432));
    assert!(model.fault.is_none() && status.program.is_ok() && status.installed_server.is_some());
    let info = check_gguf(&model.path).unwrap();
    assert_eq!((info.architecture.as_deref(), info.context_length), (Some("llama"), Some(8192)));
    // llama.cpp logs n_params 134515008 and, at 8192 tokens, a cache of 180 MiB.
    let shape = Shape::from_gguf(&model.path).unwrap();
    assert_eq!((shape.parameters, shape.vocabulary_size), (Some(134_515_008), Some(49_152)));
    assert_eq!(shape.kv_bytes(8192, CacheType::F16), 180 << 20);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("model.gguf");
    fs::copy(&model.path, &copy).unwrap();
    fs::File::options().write(true).open(&copy).unwrap().set_len(model.size - 1).unwrap();
    let options = EngineOptions { model: Some(copy), ..options };
    let error = Engine::start(&options, quiet).await.unwrap_err();
    assert!(error.message().ends_with("its header announces 98362432."), "{error}");
}

/// Installs into the folder that the variable names and prints the error.
#[test]
fn be_installer() {
    let Some(data_dir) = env::var_os(BE_INSTALLER) else { return };
    let error = engine::install(Path::new(&data_dir), &mut |_| {}).unwrap_err();
    println!("\n{error}\n{}", error.hint());
}

#[test]
fn what_the_system_lacks_is_named_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let install = || {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "be_installer", "--nocapture"])
            .envs([(BE_INSTALLER, folder.path()), ("PATH", &bin)])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = install();
    assert!(said.contains("The engine needs Python, and there is no python3 on PATH."), "{said}");
    assert!(said.contains("sudo apt install python3 python3-venv"), "{said}");

    let python = bin.join("python3");
    fs::write(&python, "#!/bin/sh\ncase \"$*\" in *ensurepip*) exit 1;; esac\n").unwrap();
    let mut permissions = fs::metadata(&python).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&python, permissions).unwrap();
    let said = install();
    assert!(
        said.contains("The engine needs the package python3-venv: `sudo apt install python3-venv`"),
        "{said}"
    );

    fs::write(&python, "#!/bin/sh\ncase \"$*\" in *version_info*) exit 1;; esac\n").unwrap();
    let said = install();
    assert!(said.contains("The engine needs Python 3.10 or later;"), "{said}");
}

#[test]
#[ignore = "downloads 126 MB into XDEV_LLM_DATA_DIR"]
fn install() {
    let data_dir = PathBuf::from(env::var_os("XDEV_LLM_DATA_DIR").expect("XDEV_LLM_DATA_DIR is set"));
    let mut texts = Vec::new();
    engine::install(&data_dir, &mut |step| {
        println!("{step:?}");
        texts.push(step.text);
    })
    .unwrap();
    assert_eq!(texts.last(), Some(&"Checking"));
    texts.clear();
    engine::install(&data_dir, &mut |step| texts.push(step.text)).unwrap();
    assert_eq!(texts, ["Checking"], "a second run does only what is missing");
}
