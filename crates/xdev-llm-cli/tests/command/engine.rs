//! `engine`: what it says without an engine, its watcher, and the real one in the background where it is installed.

use std::env;
use std::time::Instant;

use crate::sandbox::{Sandbox, wait};

#[test]
fn without_an_engine_everything_says_how_to_install_it() {
    let sandbox = Sandbox::new();
    let status = sandbox.run(&["engine", "status"]).ok();
    assert!(
        status.stdout.contains("program:  none\n") && status.stdout.contains("running:  no\n"),
        "{status:?}"
    );
    assert!(status.stderr.contains("xdev-llm engine install"), "{status:?}");
    let started = sandbox.run(&["engine", "start"]);
    assert_eq!(started.code, Some(17), "{started:?}");
    assert!(started.stderr.contains("hint: ") && started.stderr.contains("engine install"), "{started:?}");
    assert_eq!(sandbox.run(&["engine", "stop"]).ok().stdout, "The built-in engine was not running.\n");
}

#[test]
#[cfg(unix)]
fn the_watcher_ends_its_command_with_its_input() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.spawn(&["engine", "watch", "--", "/bin/sleep", "300"]);
    let begun = Instant::now();
    drop(child.stdin.take());
    wait(child);
    assert!(begun.elapsed().as_secs() < 60, "sleep was not waited for");
    let mut child = sandbox.spawn(&["engine", "watch", "--", "/bin/sh", "-c", "exit 7"]);
    let input = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(7), "an open input leaves the command its own exit code");
    drop(input);
}

#[test]
fn the_background_engine_starts_and_stops() {
    let Some(data_dir) = env::var_os("XDEV_LLM_DATA_DIR") else {
        println!("SKIPPED (engine not installed): XDEV_LLM_DATA_DIR is not set");
        return;
    };
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| {
        let output = sandbox.command(arguments).env("XDEV_LLM_DATA_DIR", &data_dir).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, said) = run(&["engine", "start"]);
    if said.contains("engine install") {
        println!("SKIPPED (engine not installed): {said}");
        return;
    }
    assert_eq!(code, Some(0), "{said}");
    let (_, said) = run(&["engine", "status"]);
    assert!(said.contains("running:  http://127.0.0.1:"), "{said}");
    let (code, said) = run(&["engine", "stop"]);
    assert_eq!((code, said.as_str()), (Some(0), "The built-in engine has stopped.\n"));
    assert!(run(&["engine", "status"]).1.contains("running:  no\n"));
}
