//! The prompt matrix: combinations of the parts of a text, `a | b | c`, a line a group.
//!
//! A matrix is a template that is built of the parts, so that combinations are counted and reached without those before
//! them. Not here: how a template is expanded (`expand`).

use super::expand::{Compiler, MAX_LISTED, Prompts, Template};
use super::{Dialect, Kind, Prompt};
use crate::error::{Error, Result};

/// `MatrixMode` says which combinations there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MatrixMode {
    /// Every set of parts but the empty one: single parts first, then pairs, and so on.
    #[default]
    AllCombinations,
    /// The first part, the first two, the first three, and so on.
    Incremental,
    /// Every two parts.
    Pairwise,
    /// One part of each line, every line with every other.
    Cartesian,
    /// The same in random order: of every line where there are several lines, else every set of parts.
    Random,
}

impl MatrixMode {
    /// Every mode.
    pub const ALL: [MatrixMode; 5] = [
        MatrixMode::AllCombinations,
        MatrixMode::Incremental,
        MatrixMode::Pairwise,
        MatrixMode::Cartesian,
        MatrixMode::Random,
    ];

    /// The mode of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str) -> Result<MatrixMode> {
        let found = MatrixMode::ALL.into_iter().find(|mode| mode.as_str() == name);
        found.ok_or_else(|| {
            let names = MatrixMode::ALL.map(MatrixMode::as_str).join(", ");
            Error::invalid_input(format!("\"{name}\" is no mode of the matrix: {names}."))
        })
    }

    /// The name under which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            MatrixMode::AllCombinations => "all_combinations",
            MatrixMode::Incremental => "incremental",
            MatrixMode::Pairwise => "pairwise",
            MatrixMode::Cartesian => "cartesian",
            MatrixMode::Random => "random",
        }
    }
}

/// `MatrixRequest` is what a matrix is made of.
#[derive(Clone, Copy, Debug)]
pub struct MatrixRequest<'a> {
    /// The parts: `|` stands between them, each may be a template, and each line is a group.
    pub text: &'a str,
    /// Which combinations there are.
    pub mode: MatrixMode,
    /// Stands before each combination as it is; empty for none.
    pub base: &'a str,
    /// Stands between the parts.
    pub separator: &'a str,
    /// How many are taken of the combinations.
    pub limit: Option<usize>,
    /// Takes them in random order.
    pub shuffle: bool,
    /// Decides the random order.
    pub seed: u64,
}

impl Default for MatrixRequest<'_> {
    fn default() -> Self {
        MatrixRequest {
            text: "",
            mode: MatrixMode::default(),
            base: "",
            separator: ", ",
            limit: None,
            shuffle: false,
            seed: 0,
        }
    }
}

/// `Matrix` is the combinations of a request.
#[derive(Clone, Debug)]
pub struct Matrix {
    template: Template,
    parts: usize,
    limit: Option<usize>,
    shuffle: Option<u64>,
}

impl Matrix {
    /// Reads the parts and counts their combinations.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a text without parts, for what a template may not have, and
    /// for a random order of more than ten million combinations without a limit.
    pub fn new(request: &MatrixRequest<'_>) -> Result<Matrix> {
        let lines = lines(request.text);
        let parts = lines.iter().map(Vec::len).sum();
        if parts == 0 {
            return Err(Error::invalid_input(
                "The matrix has no parts: write some with | between them, a | b | c.",
            ));
        }
        let template = template(&lines, request)?;
        let is_random = request.shuffle || request.mode == MatrixMode::Random;
        let matrix =
            Matrix { template, parts, limit: request.limit, shuffle: is_random.then_some(request.seed) };
        if is_random && matrix.wanted() > MAX_LISTED as u128 {
            return Err(Error::invalid_input(format!(
                "{} combinations are too many for a random order: give a limit of at most {MAX_LISTED}.",
                matrix.wanted()
            )));
        }
        Ok(matrix)
    }

    /// How many parts the text has.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// How many combinations there are in all; `u128::MAX` where there are more.
    pub fn count(&self) -> u128 {
        self.template.count()
    }

    /// How many of them are taken.
    pub fn wanted(&self) -> u128 {
        self.limit.map_or(self.count(), |limit| self.count().min(limit as u128))
    }

    /// Those that are taken.
    pub fn prompts(&self) -> Prompts {
        let limit = self.limit.unwrap_or(usize::MAX);
        match self.shuffle {
            Some(seed) => Prompts::sampled(&self.template, limit, seed),
            None => Prompts::all(&self.template, 0).first(limit),
        }
    }
}

/// The parts of each line, without white space around them; empty ones, comments and lines without parts go.
fn lines(text: &str) -> Vec<Vec<String>> {
    let prompt = Prompt::parse(text, Dialect::Comfyui);
    let (mut lines, mut parts, mut part) = (Vec::new(), Vec::new(), String::new());
    let end_part = |part: &mut String, parts: &mut Vec<String>| {
        if !part.trim().is_empty() {
            parts.push(part.trim().to_owned());
        }
        part.clear();
    };
    for index in prompt.roots() {
        match prompt.node(index).kind {
            Kind::Bar => end_part(&mut part, &mut parts),
            Kind::Comment => {}
            Kind::Text => {
                let mut pieces = prompt.text(index).split('\n');
                part.push_str(pieces.next().unwrap_or_default());
                for piece in pieces {
                    end_part(&mut part, &mut parts);
                    lines.push(std::mem::take(&mut parts));
                    part.push_str(piece);
                }
            }
            _ => part.push_str(prompt.text(index)),
        }
    }
    end_part(&mut part, &mut parts);
    lines.push(parts);
    lines.retain(|parts| !parts.is_empty());
    lines
}

/// The template whose prompts are the combinations.
fn template(lines: &[Vec<String>], request: &MatrixRequest<'_>) -> Result<Template> {
    let mut compiler = Compiler::new(None);
    let mut groups = Vec::new();
    for line in lines {
        groups.push(line.iter().map(|part| compiler.template(part)).collect::<Result<Vec<usize>>>()?);
    }
    let separator = compiler.literal(request.separator);
    let all = groups.concat();
    let combination = match request.mode {
        MatrixMode::Pairwise => compiler.pick(all, Vec::new(), (2, 2), request.separator),
        MatrixMode::Incremental => incremental(&mut compiler, &all, separator),
        MatrixMode::Random if groups.len() == 1 => every_set(&mut compiler, all, request.separator),
        MatrixMode::AllCombinations => every_set(&mut compiler, all, request.separator),
        MatrixMode::Cartesian | MatrixMode::Random => {
            let mut parts = Vec::new();
            for group in groups {
                if !parts.is_empty() {
                    parts.push(separator);
                }
                parts.push(compiler.choice(group));
            }
            compiler.sequence(parts)
        }
    };
    let root = if request.base.is_empty() {
        combination
    } else {
        let base = compiler.literal(request.base);
        compiler.sequence(vec![base, separator, combination])
    };
    compiler.finish(root)
}

fn every_set(compiler: &mut Compiler<'_>, parts: Vec<usize>, separator: &str) -> usize {
    compiler.pick(parts, Vec::new(), (1, usize::MAX), separator)
}

/// Each combination is the one before it and one part more.
fn incremental(compiler: &mut Compiler<'_>, parts: &[usize], separator: usize) -> usize {
    let mut combinations: Vec<usize> = Vec::new();
    for part in parts {
        combinations.push(match combinations.last() {
            Some(before) => compiler.sequence(vec![*before, separator, *part]),
            None => *part,
        });
    }
    compiler.choice(combinations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, mode: MatrixMode) -> Vec<String> {
        let request = MatrixRequest { text, mode, ..MatrixRequest::default() };
        Matrix::new(&request).unwrap().prompts().collect()
    }

    #[test]
    fn modes_combine() {
        use MatrixMode::{AllCombinations, Cartesian, Incremental, Pairwise};
        let text = "a | (b|c:1.2)| d |";
        assert_eq!(
            all(text, AllCombinations),
            ["a", "(b|c:1.2)", "d", "a, (b|c:1.2)", "a, d", "(b|c:1.2), d", "a, (b|c:1.2), d"]
        );
        assert_eq!(all(text, Pairwise), ["a, (b|c:1.2)", "a, d", "(b|c:1.2), d"]);
        assert_eq!(all(text, Incremental), ["a", "a, (b|c:1.2)", "a, (b|c:1.2), d"]);
        assert_eq!(all(text, Cartesian), ["a", "(b|c:1.2)", "d"]);
        assert_eq!(all("# x\na | b\n\n1|2", Cartesian), ["a, 1", "a, 2", "b, 1", "b, 2"]);
        assert_eq!(all("{a|b} {1|2}", Cartesian), ["a 1", "a 2", "b 1", "b 2"]);
        assert_eq!(all("{a|b} | c", Incremental), ["a", "b", "a, c", "b, c"]);
        assert_eq!(all("alone", Pairwise), ["alone"]);
    }

    #[test]
    fn base_separator_limit_and_order_count() {
        let request = MatrixRequest {
            text: "a | b | c",
            mode: MatrixMode::Pairwise,
            base: "a {cat}",
            separator: " + ",
            limit: Some(2),
            ..MatrixRequest::default()
        };
        let matrix = Matrix::new(&request).unwrap();
        assert_eq!((matrix.parts(), matrix.count(), matrix.wanted()), (3, 3, 2));
        assert_eq!(matrix.prompts().collect::<Vec<_>>(), ["a {cat} + a + b", "a {cat} + a + c"]);
        let shuffled = |seed| -> Vec<String> {
            let text = "a|b|c|d";
            let request = MatrixRequest { text, shuffle: true, seed, ..MatrixRequest::default() };
            Matrix::new(&request).unwrap().prompts().collect()
        };
        let mut sorted = shuffled(1);
        assert_ne!(sorted, shuffled(2));
        assert_eq!(sorted, shuffled(1));
        sorted.sort();
        let mut every = all("a|b|c|d", MatrixMode::AllCombinations);
        every.sort();
        assert_eq!(sorted, every);
    }

    #[test]
    fn few_of_very_many_come_at_once() {
        let parts: Vec<String> = (0..40).map(|part| format!("p{part}")).collect();
        let text = parts.join(" | ");
        for mode in [MatrixMode::AllCombinations, MatrixMode::Random] {
            let request = MatrixRequest { text: &text, mode, limit: Some(10), ..MatrixRequest::default() };
            let matrix = Matrix::new(&request).unwrap();
            assert_eq!((matrix.count(), matrix.prompts().count()), ((1 << 40) - 1, 10));
        }
        let request = MatrixRequest { text: &text, mode: MatrixMode::Random, ..MatrixRequest::default() };
        assert!(Matrix::new(&request).unwrap_err().to_string().contains("give a limit"));
        let lines = "a|b\n".repeat(40);
        let request = MatrixRequest { text: &lines, mode: MatrixMode::Random, limit: Some(10), ..request };
        assert_eq!(Matrix::new(&request).unwrap().count(), 1 << 40);
    }

    #[test]
    fn a_random_matrix_never_changes() {
        let request = MatrixRequest {
            text: "a|b|c|d",
            mode: MatrixMode::Random,
            limit: Some(4),
            seed: 42,
            ..MatrixRequest::default()
        };
        let prompts: Vec<String> = Matrix::new(&request).unwrap().prompts().collect();
        assert_eq!(prompts, ["c", "a, c", "d", "b, d"]);
    }

    #[test]
    fn a_text_without_parts_is_refused() {
        for text in ["", " | \n|", "# only this"] {
            let request = MatrixRequest { text, ..MatrixRequest::default() };
            assert!(Matrix::new(&request).unwrap_err().to_string().contains("no parts"));
        }
        assert!(
            MatrixMode::from_name("all").unwrap_err().to_string().contains("all_combinations, incremental")
        );
        for mode in MatrixMode::ALL {
            assert_eq!(MatrixMode::from_name(mode.as_str()).unwrap(), mode);
        }
    }
}
