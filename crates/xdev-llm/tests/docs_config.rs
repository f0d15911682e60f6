//! `docs/config.md` and `docs/environment.md` are made from the tables in the code; this test keeps them so.
//!
//! With `UPDATE_DOCS=1` it writes them. The schema's test stands with the types it is made from.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use xdev_llm::{ENVIRONMENT, Environment, Form, KEYS, Overrides, Settings};

const CONFIG_INTRODUCTION: &str = "\
# Configuration

This file is made from the table in the code; run the tests with `UPDATE_DOCS=1` to renew it.

A value is taken from the first of these that has it:

1. the flag, widget or argument
2. an `XDEV_LLM_*` [environment variable](environment.md)
3. the project's file, `xdev-llm.toml` in the current folder
4. your own file, `config.toml` in the folder that `xdev-llm config path` prints, or the file that `XDEV_LLM_CONFIG` names
5. the servers' own variables (`OPENAI_BASE_URL`, `OLLAMA_HOST`, `LMS_SERVER_HOST`), for the server's address
6. the built-in default

`xdev-llm config show` prints every value and where it comes from. An empty text counts as not given. An unknown key is
an error. The table of a named server, preset or kind is taken whole from the first file that has the name.
[config.schema.json](config.schema.json) is the JSON Schema of both files.

## Trust

A project's file comes with other people's folders. It may not set the keys marked \"your own file\", and it may not
replace a server that has a key in your own file, nor an alias of your own file.

A key never stands in a file of settings. `api_key_env` names a variable that holds it, `api_key_file` a file that only
you can read (`chmod 600`), of at most 16 KiB. A key is sent to the scheme, host and port of its own server and to no
other; `localhost`, `127.0.0.1` and `[::1]` count as one host.

## Aliases

An alias is a name for a server and a model, and `--model fast`, the node's model and `model` here take it. It wins over a
model of the same name. With several routes, the first is taken whose server answers and has the model; the next one also
when a server goes away before it said anything. `server_info` tells which one it was.

```toml
[[aliases.fast]]
server = \"http://192.168.1.20:1234\"
model = \"qwen2.5-7b-instruct\"

[[aliases.fast]]
server = \"http://localhost:11434\"
model = \"qwen2.5:3b\"

[aliases.vision]
model = \"google/gemma-3-12b\"
```

Beside an explicit server (`--server`, the node's server_url) only the alias's routes to that server count.

## Keys

`NAME` is a name of your choice; `[]` after it says that there may be several such tables.

| key | value | default | may stand in | meaning |
|---|---|---|---|---|
";

const ENVIRONMENT_INTRODUCTION: &str = "\
# Environment variables

This file is made from the table in the code; run the tests with `UPDATE_DOCS=1` to renew it. A variable that is empty
counts as not set. What beats what is told in [config.md](config.md).

| variable | meaning | example |
|---|---|---|
";

fn config_document() -> String {
    let nowhere = tempfile::tempdir().expect("a temporary folder");
    let folder = nowhere.path().to_owned();
    let environment = Environment {
        variables: [].into(),
        current_dir: folder.clone(),
        config_dir: folder.clone(),
        state_dir: folder.clone(),
        data_dir: folder,
    };
    let built_in = Settings::load(&Overrides::default(), &environment).expect("the built-in settings").show();
    let mut text = CONFIG_INTRODUCTION.to_owned();
    for key in KEYS {
        let default = built_in.iter().find(|shown| shown.key == key.name).map_or("", |shown| &shown.value);
        let default = match (default, key.form) {
            ("", _) => "none".to_owned(),
            (text, Form::Text | Form::Choice(_)) => format!("`\"{text}\"`"),
            (number, _) => format!("`{number}`"),
        };
        let place = if key.in_project { "both files" } else { "your own file" };
        writeln!(text, "| `{}` | {} | {default} | {place} | {} |", key.name, key.form, key.meaning)
            .expect("a String takes all text");
    }
    text
}

fn environment_document() -> String {
    let mut text = ENVIRONMENT_INTRODUCTION.to_owned();
    for row in ENVIRONMENT {
        writeln!(text, "| `{}` | {} | `{}` |", row.name, row.meaning, row.example)
            .expect("a String takes all text");
    }
    text
}

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, text).expect("docs can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/{name} is out of date; run the tests with UPDATE_DOCS=1");
}

#[test]
fn the_table_of_settings_is_current() {
    check("config.md", &config_document());
}

#[test]
fn the_table_of_variables_is_current() {
    check("environment.md", &environment_document());
}
