//! What must hold whatever an unknown server answers. Plain functions of plain data, so that tests and fuzzing share
//! them. Not here: the inputs (`identify.rs`, `fuzz/`).
#![allow(missing_docs, unreachable_pub)]

use xdev_llm::wire::{Answer, Investigation, Verdict};

/// An answer of a fake server.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The law: whatever is answered, and whatever it says it answers, an investigation ends within 16 questions.
pub fn check_total(port: u16, answers: &[(usize, Reply)]) {
    let paths = ["/", "/v1/models", "/lmstudio-greeting", "/api/version", "/api/tags", "/props", "/nonsense"];
    let mut investigation = Investigation::new(port);
    let mut questions = 0;
    let mut answers = answers.iter().cycle();
    while let Some(question) = investigation.next() {
        questions += 1;
        assert!(questions <= 16);
        match answers.next() {
            Some((which, Reply { status, headers, body })) => {
                // Some of the answers are to another question.
                let path = paths.get(*which).copied().unwrap_or(question);
                investigation.observe(&Answer { path, status: *status, headers, body });
            }
            None => investigation.no_answer(),
        }
    }
    if let Verdict::Stranger(why) = investigation.verdict() {
        assert!(!why.is_empty());
    }
}
