//! Medians of the rounds as Markdown.

use crate::forwarders::Kind;
use crate::scenario::Scenario;
use std::fmt::Write as _;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its head.
    pub name: &'static str,
    /// Decimals that are shown.
    pub decimals: usize,
    /// Whether the ratio to soc-connector's value is shown beside it.
    pub ratio: bool,
}

/// All measurements of a scenario.
pub struct Table {
    scenario: Scenario,
    /// For each forwarder the rounds' values.
    rows: Vec<(Kind, Vec<Vec<f64>>)>,
}

impl Table {
    /// An empty table.
    pub fn new(scenario: Scenario) -> Self {
        Self { scenario, rows: Vec::new() }
    }

    /// Adds one round's values.
    pub fn add(&mut self, kind: Kind, values: Vec<f64>) {
        match self.rows.iter_mut().find(|(row, _)| *row == kind) {
            Some((_, rounds)) => rounds.push(values),
            None => self.rows.push((kind, vec![values])),
        }
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let columns = self.scenario.columns();
        let mut out = format!("### {}\n\n| |", self.scenario.title());
        for column in columns {
            write!(out, " {} |", column.name).expect("writing to memory");
        }
        out.push_str("\n|---|");
        out.push_str(&"--:|".repeat(columns.len()));
        out.push('\n');
        let medians = |rounds: &[Vec<f64>]| -> Vec<f64> {
            (0..columns.len())
                .map(|index| median(rounds.iter().map(|values| values[index]).collect()))
                .collect()
        };
        let base = self.rows.iter().find(|(kind, _)| *kind == Kind::SocConnector);
        let base = base.map(|(_, rounds)| medians(rounds));
        for (kind, rounds) in &self.rows {
            write!(out, "| {} |", kind.name()).expect("writing to memory");
            for (index, value) in medians(rounds).into_iter().enumerate() {
                let Column { decimals, ratio, .. } = columns[index];
                write!(out, " {value:.decimals$}").expect("writing to memory");
                if let Some(base) = base.as_ref().filter(|_| ratio && *kind != Kind::SocConnector) {
                    write!(out, " (×{:.2})", value / base[index]).expect("writing to memory");
                }
                out.push_str(" |");
            }
            out.push('\n');
        }
        out
    }
}

/// The middle value; of an even number the mean of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
