//! `xdev-llm presets`: lists the presets with their numbers.
//!
//! Not here: the numbers (the library's `preset`).

use std::process::ExitCode;

use serde_json::{Value, json};
use xdev_llm::{Preset, Presets, Sampling};

use crate::arguments::JsonArguments;
use crate::output::{self, Outcome};
use crate::settings;

/// Prints every preset, built-in ones first.
pub(crate) fn run(arguments: &JsonArguments) -> Outcome {
    let settings = settings::load(&settings::no_overrides())?;
    let presets = Presets::from_settings(&settings)?;
    if arguments.json {
        let list: Vec<Value> = presets.iter().map(as_json).collect();
        output::json(&list)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["NAME", "TEMPERATURE", "TOP_P", "MAX_TOKENS", "DESCRIPTION"]);
    for preset in presets.iter() {
        let Sampling { temperature, top_p, max_tokens, .. } = &preset.sampling;
        table.add_row([
            preset.name.clone(),
            number(temperature.as_ref()),
            number(top_p.as_ref()),
            number(max_tokens.as_ref()),
            preset.description.clone(),
        ]);
    }
    output::print_table(&table)?;
    Ok(ExitCode::SUCCESS)
}

fn number(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn as_json(preset: &Preset) -> Value {
    json!({
        "name": preset.name,
        "description": preset.description,
        "sampling": preset.sampling,
        "system": preset.system,
    })
}
