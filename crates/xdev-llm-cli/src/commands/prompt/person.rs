//! `xdev-llm prompt person`: a person built of categories.
//!
//! Not here: what goes with what (the library's `prompt`).

use std::process::ExitCode;

use clap::Args;
use xdev_llm::prompt::{PERSON_CATEGORIES, build_person};

use super::builder::{self, BuilderArguments};
use crate::output::{self, Outcome};

/// `Arguments` are the flags of `prompt person`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    builder: BuilderArguments,
    /// How old, such as young_adult; "none" for none
    #[arg(long, value_name = "NAME")]
    age: Option<String>,
    /// Female, male or androgynous
    #[arg(long, value_name = "NAME")]
    gender: Option<String>,
    /// The kind of character, such as explorer
    #[arg(long, value_name = "NAME")]
    archetype: Option<String>,
    /// The face, such as joyful
    #[arg(long, value_name = "NAME")]
    expression: Option<String>,
    /// The color of the hair, such as red
    #[arg(long, value_name = "NAME")]
    hair_color: Option<String>,
    /// How the hair is worn, such as braided
    #[arg(long, value_name = "NAME")]
    hair_style: Option<String>,
    /// The color of the eyes, such as green
    #[arg(long, value_name = "NAME")]
    eye_color: Option<String>,
    /// What is worn, such as vintage
    #[arg(long, value_name = "NAME")]
    clothing: Option<String>,
    /// What the body does, such as walking
    #[arg(long, value_name = "NAME")]
    pose: Option<String>,
}

impl Arguments {
    /// Whether errors are JSON, too.
    pub(super) fn is_json(&self) -> bool {
        self.builder.json
    }
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let given = &arguments.builder;
    let catalogue = given.catalogue()?;
    if given.list {
        return builder::list(&catalogue, &PERSON_CATEGORIES, given.json);
    }
    let choices = [
        ("age", &arguments.age),
        ("gender", &arguments.gender),
        ("archetype", &arguments.archetype),
        ("expression", &arguments.expression),
        ("hair_color", &arguments.hair_color),
        ("hair_style", &arguments.hair_style),
        ("eye_color", &arguments.eye_color),
        ("clothing", &arguments.clothing),
        ("pose", &arguments.pose),
    ];
    let built = build_person(&catalogue, &given.request(choices, given.prompt()?))?;
    if given.json {
        output::json(&built)?;
        return Ok(ExitCode::SUCCESS);
    }
    given.explain(&built);
    output::line(&built.prompt)?;
    Ok(ExitCode::SUCCESS)
}
