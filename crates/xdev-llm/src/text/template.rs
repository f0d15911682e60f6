//! Prompt templates in the Jinja language.
//!
//! A template may come with a workflow, so it is foreign input: it cannot read files, and its output is capped. Not
//! here: the templates by which servers turn messages into prompts.

use std::io;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

use crate::error::{Error, Result};

/// The longest output, in bytes.
const MAX_OUTPUT: usize = 1024 * 1024;
/// The deepest nesting of a template's calls.
const MAX_DEPTH: usize = 64;

/// Renders a Jinja template with the keys of `values` as its variables. A variable that is missing is an error.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) with the template's line; also where the output exceeds 1 MiB.
pub fn render(template: &str, values: &Value) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_recursion_limit(MAX_DEPTH);
    // Loops without output would run for ever otherwise.
    environment.set_fuel(Some(1_000_000));
    let parsed = environment.template_from_str(template).map_err(|error| describe(&error, ""))?;
    let mut output = Capped(Vec::new());
    let context = Serde(values);
    match parsed.render_captured_to(context, &mut output) {
        Ok(_) => Ok(String::from_utf8(output.0).expect("a template of text renders text")),
        Err(error) if error.kind() == minijinja::ErrorKind::WriteFailure => {
            Err(Error::invalid_input("The template's output is longer than 1 MiB."))
        }
        Err(error) if error.kind() == minijinja::ErrorKind::UndefinedError => {
            let mut missing: Vec<_> = parsed
                .undeclared_variables(true)
                .into_iter()
                .filter(|name| !is_known(name, values))
                .collect();
            missing.sort();
            let missing = match missing[..] {
                [] => String::new(),
                _ => format!(" Not given: {}.", missing.join(", ")),
            };
            Err(describe(&error, &missing))
        }
        Err(error) => Err(describe(&error, "")),
    }
}

/// Whether `values` has what a dotted name such as `user.name` names.
fn is_known(name: &str, values: &Value) -> bool {
    name.split('.').try_fold(values, |value, key| value.get(key)).is_some()
}

fn describe(error: &minijinja::Error, more: &str) -> Error {
    let place = error.line().map(|line| format!(" at line {line}")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Error::invalid_input(format!("The template fails{place}: {}{detail}.{more}", error.kind()))
}

/// `Capped` is output up to the limit.
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_render_without_escaping() {
        let template = "{% for tag in tags %}{{ tag|upper }}, {% endfor %}{{ user.name }} <b>";
        let values = json!({"tags": ["a", "ü"], "user": {"name": "<x>"}});
        assert_eq!(render(template, &values).unwrap(), "A, Ü, <x> <b>");
    }

    /// The message of the error that rendering without values gives.
    fn complaint(template: &str) -> String {
        render(template, &json!({})).unwrap_err().message().to_owned()
    }

    #[test]
    fn errors_have_the_line_and_the_missing_name() {
        assert_eq!(
            complaint("a\n{{ style }}"),
            "The template fails at line 2: undefined value. Not given: style."
        );
        assert_eq!(
            render("{{ user.nam }}", &json!({"user": {"name": "x"}})).unwrap_err().message(),
            "The template fails at line 1: undefined value. Not given: user.nam."
        );
        assert!(complaint("a\n\n{% for x in %}").starts_with("The template fails at line 3: syntax error: "));
        assert!(complaint("{{ 1|nothing }}").contains("unknown filter"));
    }

    #[test]
    fn foreign_templates_are_bounded() {
        let endless =
            "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxx{% endfor %}{% endfor %}";
        assert_eq!(complaint(endless), "The template's output is longer than 1 MiB.");
        assert!(complaint("{% include '/etc/hostname' %}").starts_with("The template fails at line 1: "));
        let deep = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(complaint(&deep).starts_with("The template fails at line 1: syntax error: "));
    }
}
