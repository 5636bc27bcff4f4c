//! What is decided about differences: `decisions.toml`, and which decision a difference falls under.

use crate::reading::Difference;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    decision: Vec<Decision>,
}

/// A decision; `decisions.toml` explains its fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub name: String,
    pub field: String,
    kinds: Vec<String>,
    #[serde(default)]
    readers: Vec<String>,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    theirs: Vec<String>,
    pub right: Right,
    pub why: String,
}

/// Whose reading stands.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    Corpus,
    Both,
}

impl Decision {
    fn is_about(&self, reader: &str, rule: &str, difference: &Difference) -> bool {
        let one_of = |list: &[String], word: &str| list.is_empty() || list.iter().any(|one| one == word);
        let field = match difference.kind {
            "behind a header misread" => "behind",
            _ => difference.field,
        };
        self.field == field
            && one_of(&self.kinds, difference.kind)
            && one_of(&self.readers, reader)
            && one_of(&self.rules, rule)
            && one_of(&self.theirs, &difference.theirs)
    }
}

/// All of them, in their order.
pub fn all() -> Vec<Decision> {
    toml::from_str::<File>(include_str!("decisions.toml")).unwrap().decision
}

/// The place of the decision that a difference falls under.
pub fn of(decisions: &[Decision], reader: &str, rule: &str, difference: &Difference) -> Option<usize> {
    decisions.iter().position(|decision| decision.is_about(reader, rule, difference))
}
