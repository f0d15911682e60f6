//! `docs/models.md` against the test server: every command of the page is run, and prints what the page says.
//!
//! What a run measures (times, and the memory of the machine) stands in the page as on somebody's machine: of a line that
//! has some, only what comes before it is compared.

use std::fs;
use std::path::Path;

use xdev_llm_mock::{Mock, Model, ModelKind, Options, Personality};

use crate::sandbox::Sandbox;

/// What comes before anything measured.
fn lasting(line: &str, addresses: &[(String, &str)]) -> String {
    let line = addresses.iter().fold(line.to_owned(), |line, (real, shown)| line.replace(real, shown));
    let ends = [", after ", " needs about ", " MB in "];
    let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    line[..end].trim_end().to_owned()
}

#[test]
fn the_page_on_models_prints_what_it_says() {
    let studio = Mock::start(Personality::LmStudio04);
    studio.set_models(vec![
        Model::new("qwen/qwen3-1.7b").thinking().context(32_768).size(1_107_000_000),
        Model { tools: false, ..Model::new("google/gemma-3-12b") }
            .kind(ModelKind::Vision)
            .unloaded()
            .context(131_072)
            .size(8_100_000_000),
        Model::new("text-embedding-nomic-1.5")
            .kind(ModelKind::Embedding)
            .unloaded()
            .context(2048)
            .size(84_000_000),
    ]);
    let model = Model::new("qwen3:8b").unloaded().vram(6_800_000_000);
    let options = Options {
        vram_total_bytes: Some(4 << 30),
        models: vec![model],
        catalog: vec![Model::new("gemma3:1b").unloaded().size(815_000_000)],
        ..Options::from(Personality::Ollama)
    };
    let ollama = Mock::start_with(options).unwrap();
    let sandbox = Sandbox::new();
    sandbox.config(&format!(
        "[servers.studio]\nurl = \"{}\"\n[servers.box]\nurl = \"{}\"\n",
        studio.url(),
        ollama.url()
    ));
    sandbox.run(&["load", "qwen3:8b", "--server", "box"]).ok();
    let addresses = [(studio.url(), "http://localhost:1234"), (ollama.url(), "http://localhost:11434")];

    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md");
    let page = fs::read_to_string(page).unwrap();
    let mut commands = 0;
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for piece in block.split("$ xdev-llm ").skip(1) {
            let (command, said) = piece.split_once('\n').unwrap();
            let words: Vec<&str> = command.split_whitespace().collect();
            let ended = sandbox.run(&words).ok();
            // The address above a list is on standard error.
            let printed = if words[0] == "models" { ended.stderr + &ended.stdout } else { ended.stdout };
            let compared =
                |text: &str| text.trim().lines().map(|line| lasting(line, &addresses)).collect::<Vec<_>>();
            assert_eq!(compared(&printed), compared(said), "xdev-llm {command}");
            commands += 1;
        }
    }
    assert!(commands >= 10, "the page has commands: {commands}");
}
