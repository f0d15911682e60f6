//! `Preset`: named settings of sampling, those built in and the user's own.
//!
//! Not here: where the user's presets are read from (`config`), and ranges (`Sampling::validate`).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::chat::Sampling;
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::model::nearest;

/// `Preset` is a named setting of sampling, with a system prompt where the user wants one.
///
/// It is read from a table without its name, as in `[presets.tags]`, `temperature = 0.4`, `system = "…"`; unknown
/// keys are errors. [`Presets::new`] gives it its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Preset {
    /// The name to ask for.
    pub name: String,
    /// What it is good for, in one sentence.
    pub description: String,
    /// The values it sets.
    #[serde(flatten)]
    pub sampling: Sampling,
    /// The system prompt it sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

impl Preset {
    /// Fills in what `explicit` leaves open: an explicit value always beats the preset.
    pub fn apply(&self, explicit: Sampling) -> Sampling {
        explicit.or(&self.sampling)
    }

    fn built_in(name: &str, description: &str, values: Option<(f64, f64, u32)>) -> Self {
        let sampling = match values {
            Some((temperature, top_p, max_tokens)) => Sampling {
                temperature: Some(temperature),
                top_p: Some(top_p),
                max_tokens: Some(max_tokens),
                ..Sampling::default()
            },
            None => Sampling::default(),
        };
        Preset { name: name.to_owned(), description: description.to_owned(), sampling, system: None }
    }
}

/// `Table` is a preset as the user writes it. Serde cannot refuse unknown keys beside a flattened struct, so the
/// fields of [`Sampling`] stand here once more; the compiler complains where one is missing below.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Table {
    description: String,
    system: Option<String>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u32>,
    min_p: Option<f64>,
    max_tokens: Option<u32>,
    seed: Option<u64>,
    stop: Option<Vec<String>>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    repeat_penalty: Option<f64>,
}

impl<'de> Deserialize<'de> for Preset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        Ok(Preset {
            name: String::new(),
            description: table.description,
            sampling: Sampling {
                temperature: table.temperature,
                top_p: table.top_p,
                top_k: table.top_k,
                min_p: table.min_p,
                max_tokens: table.max_tokens,
                seed: table.seed,
                stop: table.stop,
                presence_penalty: table.presence_penalty,
                frequency_penalty: table.frequency_penalty,
                repeat_penalty: table.repeat_penalty,
            },
            system: table.system,
        })
    }
}

/// `Presets` holds the built-in presets and the user's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Presets {
    presets: Vec<Preset>,
}

impl Default for Presets {
    fn default() -> Self {
        Presets {
            presets: vec![
                Preset::built_in("creative", "Varied and imaginative, long.", Some((0.9, 0.9, 2048))),
                Preset::built_in("balanced", "For most things.", Some((0.7, 0.8, 1024))),
                Preset::built_in("focused", "Close to the question, short.", Some((0.3, 0.7, 512))),
                Preset::built_in(
                    "precise",
                    "As exact as the model can be, very short.",
                    Some((0.1, 0.5, 256)),
                ),
                Preset::built_in("custom", "Sets nothing: your values, else the server's own.", None),
            ],
        }
    }
}

impl Presets {
    /// Adds the user's presets, by name, to the built-in ones; one of the same name replaces the built-in one.
    pub fn new(user: BTreeMap<String, Preset>) -> Self {
        let mut all = Presets::default();
        for (name, preset) in user {
            let preset = Preset { name, ..preset };
            match all.presets.iter_mut().find(|known| known.name == preset.name) {
                Some(known) => *known = preset,
                None => all.presets.push(preset),
            }
        }
        all
    }

    /// The built-in presets and those of the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a preset with an unknown key or a value of the wrong type.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let own = settings.presets.iter().map(|(name, table)| {
            let preset = Preset::deserialize(table.value.clone()).map_err(|error| {
                Error::new(
                    ErrorKind::Config,
                    format!(
                        "The preset \"{name}\" ({}) is wrong: {}",
                        table.origin,
                        error.to_string().trim_end()
                    ),
                )
            })?;
            Ok((name.clone(), preset))
        });
        Ok(Presets::new(own.collect::<Result<_>>()?))
    }

    /// The preset of that name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where there is none; the message lists the names.
    pub fn get(&self, name: &str) -> Result<&Preset> {
        self.iter().find(|preset| preset.name == name).ok_or_else(|| {
            let names: Vec<_> = self.iter().map(|preset| preset.name.as_str()).collect();
            let meant = match nearest(name, names.iter().copied()) {
                Some(meant) => format!(" Did you mean \"{meant}\"?"),
                None => String::new(),
            };
            Error::invalid_input(format!(
                "There is no preset \"{name}\".{meant} The presets are {}.",
                names.join(", ")
            ))
            .with_hint("Choose one of these, or write your own under [presets.<name>] in your config.")
        })
    }

    /// Every preset: the built-in ones first, then the user's by name.
    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.presets.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_presets_have_the_numbers_of_the_specification() {
        let presets = Presets::default();
        let numbers: Vec<_> = presets
            .iter()
            .map(|preset| {
                let sampling = &preset.sampling;
                (preset.name.as_str(), sampling.temperature, sampling.top_p, sampling.max_tokens)
            })
            .collect();
        assert_eq!(
            numbers,
            [
                ("creative", Some(0.9), Some(0.9), Some(2048)),
                ("balanced", Some(0.7), Some(0.8), Some(1024)),
                ("focused", Some(0.3), Some(0.7), Some(512)),
                ("precise", Some(0.1), Some(0.5), Some(256)),
                ("custom", None, None, None),
            ]
        );
        assert_eq!(presets.get("custom").unwrap().sampling, Sampling::default());
        for preset in presets.iter() {
            preset.sampling.validate(8192).unwrap();
        }
    }

    #[test]
    fn an_explicit_value_beats_the_preset() {
        let explicit = Sampling { temperature: Some(0.0), seed: Some(7), ..Sampling::default() };
        let applied = Presets::default().get("creative").unwrap().apply(explicit);
        assert_eq!((applied.temperature, applied.seed), (Some(0.0), Some(7)));
        assert_eq!((applied.top_p, applied.max_tokens), (Some(0.9), Some(2048)));
    }

    #[test]
    fn the_users_presets_join_and_replace() {
        let user: BTreeMap<String, Preset> = toml::from_str(
            "[tags]\nsystem = \"Only tags.\"\ntemperature = 0.4\nstop = [\"\\n\"]\n\n[focused]\ntop_k = 5\n",
        )
        .unwrap();
        let presets = Presets::new(user);
        let names: Vec<_> = presets.iter().map(|preset| preset.name.as_str()).collect();
        assert_eq!(names, ["creative", "balanced", "focused", "precise", "custom", "tags"]);
        let tags = presets.get("tags").unwrap();
        assert_eq!(tags.system.as_deref(), Some("Only tags."));
        assert_eq!(tags.sampling.stop, Some(vec!["\n".to_owned()]));
        let focused = &presets.get("focused").unwrap().sampling;
        assert_eq!((focused.top_k, focused.temperature), (Some(5), None));
    }

    #[test]
    fn unknown_keys_and_names_say_what_there_is() {
        let error = toml::from_str::<Preset>("temprature = 0.4").unwrap_err().to_string();
        assert!(error.contains("temprature") && error.contains("temperature"), "{error}");
        let error = Presets::default().get("creatve").unwrap_err();
        assert_eq!(
            error.message(),
            "There is no preset \"creatve\". Did you mean \"creative\"? \
             The presets are creative, balanced, focused, precise, custom."
        );
    }

    #[test]
    fn every_field_of_sampling_can_be_set() {
        let all = Sampling {
            temperature: Some(0.5),
            top_p: Some(0.5),
            top_k: Some(1),
            min_p: Some(0.5),
            max_tokens: Some(1),
            seed: Some(1),
            stop: Some(vec!["x".to_owned()]),
            presence_penalty: Some(0.5),
            frequency_penalty: Some(0.5),
            repeat_penalty: Some(0.5),
        };
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Preset>(&json).unwrap().sampling, all);
    }
}
