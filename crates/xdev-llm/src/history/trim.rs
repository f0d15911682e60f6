//! Fitting a conversation to a budget of tokens.
//!
//! Not here: how many tokens a server really counts; that takes its tokenizer.

use std::collections::HashMap;

use super::is_instruction;
use crate::chat::{Message, Part, Role};

/// `Trimmed` is a conversation that was fitted to a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// What is left, in order.
    pub messages: Vec<Message>,
    /// How many messages were dropped.
    pub dropped: usize,
    /// The tokens of what is left; above the budget where even the least does not fit.
    pub tokens: usize,
}

/// Drops the oldest messages until the rest has at most `budget_tokens`, as `count` counts.
///
/// Always kept: the system and developer messages at the start, and the last user message with all that follows it
/// (without a user message, the last message). A tool call and its results stay or go together, and a tool message
/// whose call is not in the conversation goes, because servers refuse it.
pub fn trim(messages: &[Message], budget_tokens: usize, count: impl Fn(&Message) -> usize) -> Trimmed {
    let owners = owners(messages);
    let head = messages.iter().take_while(|message| is_instruction(message)).count();
    let last_user = messages.iter().rposition(|message| message.role == Role::User);
    let tail = last_user.unwrap_or(messages.len().saturating_sub(1));

    // Messages that one owner holds together: their tokens, and whether one of them must stay.
    let mut tokens = vec![0; messages.len()];
    let mut must_stay = vec![false; messages.len()];
    for (index, owner) in owners.iter().enumerate() {
        if let Some(owner) = *owner {
            tokens[owner] += count(&messages[index]);
            must_stay[owner] |= index < head || index >= tail;
        }
    }
    let mut total: usize = tokens.iter().sum();
    let mut dropped = vec![false; messages.len()];
    for index in 0..messages.len() {
        if total > budget_tokens && owners[index] == Some(index) && !must_stay[index] {
            dropped[index] = true;
            total -= tokens[index];
        }
    }
    let kept: Vec<_> = messages
        .iter()
        .zip(&owners)
        .filter(|(_, owner)| owner.is_some_and(|owner| !dropped[owner]))
        .map(|(message, _)| message.clone())
        .collect();
    Trimmed { dropped: messages.len() - kept.len(), messages: kept, tokens: total }
}

/// For each message the index of the one it lives and dies with: a tool result with its call, any other with itself.
/// A tool result names its call; without a name it belongs to the nearest message with calls before it.
fn owners(messages: &[Message]) -> Vec<Option<usize>> {
    let mut callers = HashMap::new();
    let mut last_caller = None;
    let mut owners = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        // A tool message calls nothing itself; taking its calls would chain owners.
        let calls = if message.role == Role::Tool { &[][..] } else { &message.tool_calls };
        for call in calls {
            callers.insert(call.id.as_str(), index);
            last_caller = Some(index);
        }
        owners.push(match (message.role, message.tool_call_id.as_deref()) {
            (Role::Tool, None | Some("")) => last_caller,
            (Role::Tool, Some(id)) => callers.get(id).copied(),
            _ => Some(index),
        });
    }
    owners
}

/// What a picture costs, roughly: models differ from 256 to over 1000.
const IMAGE_TOKENS: usize = 768;
/// The marks of role and end around every message.
const MESSAGE_TOKENS: usize = 4;

/// Estimates the tokens of a message: 4 bytes a token, 1 for each character of Chinese, Japanese and Korean and for
/// each emoji, 768 for a picture, and 4 for the message itself. It is an estimate; tokenizers differ by a third.
pub fn estimate_tokens(message: &Message) -> usize {
    let content: usize = message
        .content
        .iter()
        .map(|part| match part {
            Part::Text(text) => estimate_text(text),
            Part::ImageUrl(_) => IMAGE_TOKENS,
        })
        .sum();
    let calls: usize = message
        .tool_calls
        .iter()
        .map(|call| estimate_text(&call.id) + estimate_text(&call.name) + estimate_text(&call.arguments))
        .sum();
    MESSAGE_TOKENS + content + calls + message.tool_call_id.as_deref().map_or(0, estimate_text)
}

fn estimate_text(text: &str) -> usize {
    // The scripts of East Asia and the emoji begin here.
    let wide = text.chars().filter(|c| *c >= '\u{2e80}');
    let (count, bytes) = wide.fold((0, 0), |(count, bytes), c| (count + 1, bytes + c.len_utf8()));
    count + (text.len() - bytes).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ToolCall;

    fn call(id: &str) -> Message {
        let call = ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: "{}".to_owned() };
        Message { content: Vec::new(), tool_calls: vec![call], ..Message::assistant("") }
    }

    fn result(id: Option<&str>) -> Message {
        Message { tool_call_id: id.map(str::to_owned), ..Message::new(Role::Tool, "ok") }
    }

    /// Trims with one token a message and gives the indices that are left.
    fn kept(messages: &[Message], budget: usize) -> Vec<usize> {
        // Each message gets its index as its last part, so that equal ones can be told apart.
        let marked: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                let mut marked = message.clone();
                marked.content.push(Part::ImageUrl(index.to_string()));
                marked
            })
            .collect();
        let trimmed = trim(&marked, budget, |_| 1);
        assert_eq!(trimmed.tokens, trimmed.messages.len());
        assert_eq!(trimmed.dropped, messages.len() - trimmed.messages.len());
        let index = |message: &Message| match message.content.last() {
            Some(Part::ImageUrl(index)) => index.parse().unwrap(),
            _ => panic!("every message was marked"),
        };
        trimmed.messages.iter().map(index).collect()
    }

    #[test]
    fn the_oldest_go_first_and_instructions_and_the_last_question_stay() {
        let messages = [
            Message::system("s"),
            Message::new(Role::Developer, "d"),
            Message::user("1"),
            Message::assistant("2"),
            Message::system("late"),
            Message::user("3"),
            Message::assistant("4"),
        ];
        assert_eq!(kept(&messages, 7), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(kept(&messages, 6), [0, 1, 3, 4, 5, 6]);
        assert_eq!(kept(&messages, 4), [0, 1, 5, 6]);
        assert_eq!(kept(&messages, 0), [0, 1, 5, 6]);
        assert!(kept(&[], 0).is_empty());
        assert_eq!(kept(&[Message::assistant("a"), Message::assistant("b")], 0), [1]);
    }

    #[test]
    fn calls_and_results_are_never_parted() {
        let messages = [
            Message::user("0"),
            call("a"),
            result(Some("a")),
            Message::assistant("3"),
            call("b"),
            Message::user("5"),
            result(Some("b")),
            Message::assistant("7"),
        ];
        assert_eq!(kept(&messages, 7), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(kept(&messages, 6), [3, 4, 5, 6, 7]);
        assert_eq!(kept(&messages, 0), [4, 5, 6, 7]);
    }

    #[test]
    fn results_without_a_call_go() {
        let messages = [result(Some("x")), call("a"), result(None), result(Some("y")), Message::user("4")];
        assert_eq!(kept(&messages, 9), [1, 2, 4]);
        assert_eq!(kept(&messages, 2), [4]);
    }

    #[test]
    fn estimates_follow_the_script() {
        assert_eq!(estimate_tokens(&Message::user("")), 4);
        assert_eq!(estimate_tokens(&Message::user("12345678")), 6);
        assert_eq!(estimate_tokens(&Message::user("漢字かな abc")), 9);
        let image = Message { content: vec![Part::ImageUrl("data:".into())], ..Message::user("") };
        assert_eq!(estimate_tokens(&image), 772);
    }
}
