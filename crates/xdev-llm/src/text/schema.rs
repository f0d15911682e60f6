//! Checks a JSON value against a JSON Schema.
//!
//! Not here: getting the value out of an answer (`json`), and asking a server to keep to a schema (`wire`).

use jsonschema::{Retrieve, Uri};
use serde_json::Value;

use crate::error::{Error, Result};

/// How many violations an error lists.
const LISTED: usize = 5;

/// Checks `value` against `schema` (draft 2020-12, or what its `$schema` names).
///
/// A `$ref` to another document is never fetched.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the schema is wrong, and where the value does not match:
/// then the message lists the first five violations, each with its JSON pointer, without quoting the value.
pub fn validate(value: &Value, schema: &Value) -> Result<()> {
    let validator = jsonschema::options()
        .with_retriever(Nothing)
        .build(schema)
        .map_err(|error| Error::invalid_input(format!("The JSON Schema is not valid: {error}")))?;
    let mut violations = validator.iter_errors(value).map(|violation| {
        let pointer = violation.instance_path().as_str();
        format!("{}: {}", if pointer.is_empty() { "(root)" } else { pointer }, violation.masked())
    });
    let listed: Vec<_> = violations.by_ref().take(LISTED).collect();
    if listed.is_empty() {
        return Ok(());
    }
    let more = if violations.next().is_some() { "; …" } else { "" };
    Err(Error::invalid_input(format!("The JSON does not match the schema: {}{more}", listed.join("; ")))
        .with_hint(
            "Ask again, or give the server the schema as `response_format` so that it cannot leave it.",
        ))
}

/// `Nothing` fetches nothing, whatever other crates switch on in `jsonschema`.
struct Nothing;

impl Retrieve for Nothing {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("{uri} is another document, and none is fetched; put it under \"$defs\"").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn violations_are_listed_with_pointers_and_without_values() {
        let schema = json!({
            "type": "object",
            "required": ["name"],
            "properties": {"tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}},
            "$defs": {"tag": {"type": "string"}}
        });
        validate(&json!({"name": "x", "tags": ["a"]}), &schema).unwrap();
        let error = validate(&json!({"name": "secret", "tags": [1, "a", 3]}), &schema).unwrap_err();
        assert_eq!(
            error.message(),
            "The JSON does not match the schema: /tags/0: value is not of type \"string\"; \
             /tags/2: value is not of type \"string\""
        );
        let error = validate(&json!({"name": 1, "tags": [1, 2, 3, 4, 5, 6]}), &schema).unwrap_err();
        assert!(error.message().ends_with("/tags/4: value is not of type \"string\"; …"), "{error}");
        let error = validate(&json!("secret"), &schema).unwrap_err();
        assert!(error.message().contains("(root): value is not of type \"object\""), "{error}");
        assert!(!error.message().contains("secret"));
    }

    #[test]
    fn wrong_schemas_and_other_documents_are_errors() {
        let error = validate(&json!(1), &json!({"type": "strin"})).unwrap_err();
        assert!(error.message().starts_with("The JSON Schema is not valid: "), "{error}");
        let error = validate(&json!(1), &json!({"$ref": "http://127.0.0.1:9/x.json"})).unwrap_err();
        assert!(error.message().contains("none is fetched"), "{error}");
        let error = validate(&json!(1), &json!({"$ref": "file:///etc/hostname"})).unwrap_err();
        assert!(error.message().contains("none is fetched"), "{error}");
    }
}
