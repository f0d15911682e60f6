//! The other model servers: their errors, their lists, and a plain OpenAI chat.
//!
//! What each is known by and how it manages its models is in the file of its name; `identity` has those that manage none.

mod docker_model_runner;
mod gpt4all;
mod identity;
mod koboldcpp;
mod lemonade;
mod llama_swap;
mod localai;
mod mistral_rs;
mod tabbyapi;
mod text_generation_webui;

use serde_json::{Value, json};

use super::{Answer, Context, NotLoaded, openai_models};
use crate::chat::Limits;
use crate::http::Reply;
use crate::memory::{Lease, Load};
use crate::model::Model;
use crate::openai::CREATED;
use crate::personality::Personality;

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let personality = context.personality();
    let (method, path) = context.route();
    let own = match personality {
        Personality::SgLang => identity::sglang(context, method, path).map(Answer::from),
        Personality::Jan => identity::jan(context, method, path).map(Answer::from),
        Personality::LiteLlm => identity::litellm(method, path).map(Answer::from),
        Personality::KoboldCpp => koboldcpp::answer(context, method, path),
        Personality::TextGenerationWebUi => text_generation_webui::answer(context, method, path),
        Personality::TabbyApi => tabbyapi::answer(context, method, path),
        Personality::MistralRs => mistral_rs::answer(context, method, path),
        Personality::LlamaSwap => llama_swap::answer(context, method, path),
        Personality::Lemonade => lemonade::answer(context, method, path),
        Personality::LocalAi => localai::answer(context, method, path),
        Personality::DockerModelRunner => docker_model_runner::answer(context, method, path),
        Personality::MlxLm if (method, path) == ("GET", "/health") => Some(ok(r#"{"status":"ok"}"#).into()),
        _ => None,
    };
    if let Some(answer) = own {
        return answer;
    }
    let Some(rest) = openai_path(personality, path) else {
        return not_found(context).into();
    };
    if !context.has_key() {
        return unauthorized(personality).into();
    }
    match (method, rest) {
        ("GET", "/models") => models(context).into(),
        ("POST", "/chat/completions") => chat(context),
        _ => not_found(context).into(),
    }
}

fn ok(body: &str) -> Reply {
    Reply::json(200, body)
}

/// What follows the base path of the OpenAI routes.
fn openai_path(personality: Personality, path: &str) -> Option<&str> {
    let bases: &[&str] = match personality {
        Personality::Lemonade => &["/v1", "/api/v1", "/v0", "/api/v0"],
        Personality::DockerModelRunner => &["/v1", "/engines/v1", "/engines/llama.cpp/v1"],
        // Paths are matched by their end.
        Personality::KoboldCpp => return path.find("/v1/").map(|start| &path[start + 3..]),
        Personality::MlxLm => &["/v1", ""],
        _ => &["/v1"],
    };
    bases.iter().find_map(|base| path.strip_prefix(base))
}

/// A personality's error body.
pub(super) fn error(personality: Personality, status: u16, message: &str, parameter: Option<&str>) -> Reply {
    let kind = match status {
        404 => "not_found_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let body = match personality {
        Personality::Jan | Personality::DockerModelRunner => return Reply::text(status, message),
        personality if personality.is_llamacpp() => {
            json!({"error": {"code": status, "message": message, "type": kind}})
        }
        Personality::Vllm => {
            json!({"error": {"message": message, "type": "BadRequestError", "param": parameter, "code": status}})
        }
        Personality::SgLang => {
            json!({"object": "error", "message": message, "type": "BadRequestError", "param": null, "code": status})
        }
        Personality::KoboldCpp => json!({"detail": {"msg": message, "type": "bad_input"}}),
        Personality::TabbyApi => json!({"detail": message}),
        Personality::MlxLm => json!({"error": message}),
        Personality::LocalAi => {
            json!({"error": {"code": status, "message": message, "param": null, "type": ""}})
        }
        Personality::LiteLlm => {
            json!({"error": {"message": message, "type": kind, "param": parameter, "code": status.to_string()}})
        }
        _ => json!({"error": {"message": message, "type": kind, "param": parameter, "code": null}}),
    };
    Reply::json(status, body.to_string())
}

fn unauthorized(personality: Personality) -> Reply {
    match personality {
        Personality::SgLang => Reply::json(401, r#"{"error":"Unauthorized"}"#),
        Personality::TextGenerationWebUi => Reply::json(401, r#"{"detail":"Unauthorized"}"#),
        Personality::TabbyApi => Reply::json(401, r#"{"detail":"Please provide an API key"}"#),
        Personality::KoboldCpp => Reply::json(
            401,
            r#"{"detail":{"error":"Unauthorized","msg":"Authentication key is missing or invalid.","type":"unauthorized"}}"#,
        ),
        Personality::Jan => Reply::text(401, "Invalid or missing authorization token"),
        Personality::Gpt4All => Reply::empty(401),
        Personality::LlamaSwap => {
            Reply::text(401, "unauthorized").with("WWW-Authenticate", r#"Basic realm="llama-swap""#)
        }
        Personality::LiteLlm => Reply::json(
            401,
            r#"{"error":{"message":"Authentication Error, No api key passed in.","type":"auth_error","param":"None","code":"401"}}"#,
        ),
        _ => Reply::json(
            401,
            r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        ),
    }
}

fn not_found(context: &Context<'_>) -> Reply {
    match context.personality() {
        Personality::SgLang
        | Personality::TextGenerationWebUi
        | Personality::TabbyApi
        | Personality::LiteLlm => Reply::json(404, r#"{"detail":"Not Found"}"#),
        Personality::KoboldCpp => Reply::text(
            404,
            "Error: KoboldCpp HTTP Server is running, but this endpoint does not exist. Please check the URL.",
        ),
        Personality::Generic => error(Personality::Generic, 404, "Invalid URL", None),
        Personality::LlamaSwap => llama_swap::refusal(context, 404, "not found"),
        _ => Reply::text(404, "Not Found"),
    }
}

fn models(context: &Context<'_>) -> Reply {
    let models = context.shared.models();
    let loaded: Vec<Model> = models.iter().filter(|model| model.loaded).cloned().collect();
    match context.personality() {
        Personality::SgLang => listed(&models, |_, entry| {
            entry["owned_by"] = json!("sglang");
            entry["root"] = entry["id"].clone();
            entry["max_model_len"] = json!(context.context_tokens());
        }),
        Personality::MistralRs => listed(&models, |model, entry| {
            entry["owned_by"] = json!("local");
            entry["status"] = json!(mistral_rs::status(context, &model.id));
        }),
        Personality::MlxLm => listed(&models, |_, _| {}),
        Personality::LlamaSwap => listed(&models, |model, entry| {
            entry["owned_by"] = json!("llama-swap");
            entry["status"] = json!({"value": if model.loaded { "loaded" } else { "unloaded" }});
        }),
        Personality::Lemonade => listed(&models, lemonade::complete),
        Personality::KoboldCpp => {
            openai_models(&[Model::new(&koboldcpp::model_name(context))], "koboldcpp", CREATED)
        }
        Personality::TextGenerationWebUi => openai_models(&loaded, "user", 0),
        Personality::TabbyApi => openai_models(&tabbyapi::listed(context), "tabbyAPI", CREATED),
        Personality::Gpt4All => openai_models(&models, "humanity", 0),
        Personality::Jan => openai_models(&models, "user", 1),
        Personality::LiteLlm => openai_models(&models, "openai", CREATED),
        Personality::DockerModelRunner => openai_models(&models, "docker", CREATED),
        _ => openai_models(&models, "organization", CREATED),
    }
}

/// A model list with entries of a server's own.
fn listed(models: &[Model], complete: impl Fn(&Model, &mut Value)) -> Reply {
    let entry = |model: &Model| {
        let mut entry = json!({"id": model.id, "object": "model", "created": CREATED});
        complete(model, &mut entry);
        entry
    };
    let data: Vec<Value> = models.iter().map(entry).collect();
    ok(&json!({"object": "list", "data": data}).to_string())
}

fn chat(context: &Context<'_>) -> Answer {
    let personality = context.personality();
    let body = &context.body;
    let bad = |message: &str, parameter| error(personality, 400, message, parameter).into();
    if personality == Personality::MlxLm && context.request.header("content-length").is_none() {
        return error(personality, 411, "Content-Length header is required", None).into();
    }
    if body.is_null() {
        return bad("The request body is not valid JSON", None);
    }
    if body["messages"].as_array().is_none_or(Vec::is_empty) {
        return bad("'messages' must be a list with at least one message", Some("messages"));
    }
    if personality == Personality::Gpt4All
        && let Some(reply) = gpt4all::refusal(body)
    {
        return reply.into();
    }
    if body["max_tokens"].as_i64().is_some_and(|limit| limit < 1) && personality == Personality::SgLang {
        return bad("max_tokens must be positive", Some("max_tokens"));
    }
    if context.overlong().is_some() {
        let message = format!("This model's maximum context length is {} tokens.", context.context_tokens());
        return bad(&message, Some("messages"));
    }
    let model = match model_or_refusal(context) {
        Ok(model) => model,
        Err(reply) => return reply.into(),
    };
    let mut limits = Limits::openai(body, &["max_tokens", "max_completion_tokens"]);
    let default = match personality {
        Personality::Gpt4All => Some(16),
        Personality::MlxLm => Some(512),
        _ => None,
    };
    limits.max_tokens = limits.max_tokens.or(default);
    match lease(context, &model) {
        Ok(lease) => context.openai_chat(&model, lease, &limits),
        Err(NotLoaded::Gone) => Answer::Silence,
        Err(NotLoaded::Failed(text)) => match personality {
            Personality::LlamaSwap => {
                llama_swap::refusal(context, 502, &format!("unable to start process: {text}")).into()
            }
            _ => error(personality, 500, &text, None).into(),
        },
    }
}

/// What answers a chat: a server that manages its models loads the one that is asked for.
fn lease(context: &Context<'_>, name: &str) -> Result<Option<Lease>, NotLoaded> {
    let model = match context.personality() {
        Personality::MistralRs => mistral_rs::resolve(context, name),
        Personality::LlamaSwap
        | Personality::Lemonade
        | Personality::LocalAi
        | Personality::DockerModelRunner => context.model(name),
        _ => return Ok(context.shared.memory.lease(name)),
    };
    let Some(model) = model else {
        return Ok(None);
    };
    let length = context.shared.memory.state().usual_context(&model);
    context.ensure(&Load { just_in_time: true, ..Load::new(&model.id, length) }, false).map(Some)
}

/// The model that answers, or the server's own way to say that it does not know the name.
fn model_or_refusal(context: &Context<'_>) -> Result<String, Reply> {
    let wanted = context.wanted_model();
    let personality = context.personality();
    // These have one model and do not look at the name.
    if matches!(
        personality,
        Personality::KoboldCpp | Personality::TextGenerationWebUi | Personality::TabbyApi
    ) {
        let loaded = context.loaded_model().map(|model| model.id);
        return loaded.ok_or_else(|| match personality {
            Personality::TabbyApi => tabbyapi::nothing_loaded(),
            personality => error(personality, 503, "No model is loaded", None),
        });
    }
    if let Some(model) = context.model(wanted) {
        return Ok(model.id);
    }
    let first = context.shared.models().into_iter().next().map(|model| model.id);
    match personality {
        Personality::Jan if first.is_none() => Err(Reply::text(503, "No models are available")),
        Personality::Jan => Err(Reply::text(404, &format!("No running session found for model '{wanted}'"))),
        Personality::DockerModelRunner => Err(Reply::text(404, &format!("model not found: {wanted}"))),
        Personality::LlamaSwap => {
            Err(llama_swap::refusal(context, 404, &format!("could not find real modelID for {wanted}")))
        }
        Personality::LiteLlm => {
            Err(error(personality, 400, &format!("Invalid model name passed in model={wanted}"), None))
        }
        Personality::Lemonade | Personality::MlxLm | Personality::Generic if !wanted.is_empty() => {
            Err(error(personality, 404, &format!("The model `{wanted}` does not exist"), Some("model")))
        }
        _ => first.ok_or_else(|| error(personality, 404, "No model is loaded", Some("model"))),
    }
}
