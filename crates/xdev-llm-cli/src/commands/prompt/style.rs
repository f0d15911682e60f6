//! `xdev-llm prompt style`: a style built of categories, or one of the library by its name.
//!
//! Not here: what goes with what (the library's `prompt`).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde::Serialize;
use xdev_llm::Environment;
use xdev_llm::prompt::{Built, NamedStyle, STYLE_CATEGORIES, StyleLibrary, StyledPrompt, build_style};

use super::builder::{self, BuilderArguments};
use crate::output::{self, Outcome};
use crate::render::plain;

/// `Arguments` are the flags of `prompt style`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    builder: BuilderArguments,
    /// The movement or digital style, such as impressionism; "none" for none
    #[arg(long, value_name = "NAME")]
    primary_style: Option<String>,
    /// What it is made with, such as watercolor
    #[arg(long, value_name = "NAME")]
    medium: Option<String>,
    /// The colors, such as pastel
    #[arg(long, value_name = "NAME")]
    color_palette: Option<String>,
    /// The light, such as golden_hour
    #[arg(long, value_name = "NAME")]
    lighting: Option<String>,
    /// How the picture is arranged, such as close_up
    #[arg(long, value_name = "NAME")]
    composition: Option<String>,
    /// The surface, such as impasto
    #[arg(long, value_name = "NAME")]
    texture: Option<String>,
    /// The weight of the primary style, 0.1 to 2
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    weight: f64,
    /// Applies a style of the library to the prompt first
    #[arg(long, value_name = "NAME")]
    apply: Option<String>,
    /// Finds styles of the library; "" lists them all
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["apply", "list"])]
    search: Option<String>,
    /// Adds styles from a JSON file, or from all of a folder; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    library: Vec<PathBuf>,
}

impl Arguments {
    /// Whether errors are JSON, too.
    pub(super) fn is_json(&self) -> bool {
        self.builder.json
    }

    fn style_library(&self) -> xdev_llm::Result<StyleLibrary> {
        let folder = Environment::from_process()?.prompt_dir().join("library");
        let library = StyleLibrary::read(Some(&folder), &self.library)?;
        for note in library.notes() {
            output::warn(note);
        }
        Ok(library)
    }
}

/// `Report` is what was built, and what a style of the library does not want.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    built: &'a Built,
    style: Option<&'a str>,
    negative: &'a str,
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let given = &arguments.builder;
    if let Some(words) = &arguments.search {
        return search(&arguments.style_library()?, words, given.json);
    }
    let catalogue = given.catalogue()?;
    if given.list {
        return builder::list(&catalogue, &STYLE_CATEGORIES, given.json);
    }
    let prompt = given.prompt()?;
    let styled = match &arguments.apply {
        Some(name) => Some(arguments.style_library()?.apply(name, &prompt, "")?),
        None => None,
    };
    let prompt = styled.as_ref().map_or(prompt, |styled| styled.positive.clone());
    let choices = [
        ("primary_style", &arguments.primary_style),
        ("medium", &arguments.medium),
        ("color_palette", &arguments.color_palette),
        ("lighting", &arguments.lighting),
        ("composition", &arguments.composition),
        ("texture", &arguments.texture),
    ];
    let built = build_style(&catalogue, &given.request(choices, prompt), arguments.weight)?;
    print(given, &built, styled.as_ref())
}

fn print(given: &BuilderArguments, built: &Built, styled: Option<&StyledPrompt>) -> Outcome {
    let negative = styled.map_or("", |styled| styled.negative.as_str());
    if given.json {
        output::json(&Report { built, style: styled.map(|styled| styled.name.as_str()), negative })?;
        return Ok(ExitCode::SUCCESS);
    }
    given.explain(built);
    output::line(&built.prompt)?;
    if !negative.is_empty() {
        output::note(&format!("negative: {}", plain(negative)));
    }
    Ok(ExitCode::SUCCESS)
}

fn search(library: &StyleLibrary, words: &str, as_json: bool) -> Outcome {
    let found: Vec<&NamedStyle> = library.search(words);
    if as_json {
        output::json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    for style in &found {
        output::line(&plain(&format!("{}: {}", style.name, style.prompt)))?;
    }
    if found.is_empty() {
        output::note("no style has all these words; `--search \"\"` lists them all");
    }
    Ok(ExitCode::SUCCESS)
}
