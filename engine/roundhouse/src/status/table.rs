//! Columns that line up.

/// Side on which the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// How a line stands out on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// A heading.
    Strong,
    /// Of less interest.
    Faint,
    /// Something is wrong.
    Bad,
}

/// One line of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Line {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }
}

/// Rows under headings.
#[derive(Debug)]
pub(super) struct Table {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<(Tone, Vec<String>)>,
}

impl Table {
    pub(super) fn new(heads: &[(&'static str, Align)]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, tone: Tone, cells: Vec<String>) {
        assert_eq!(cells.len(), self.heads.len(), "a cell for each heading");
        // Names come from peers: nothing of theirs may end a line or move the cursor.
        let shown = |cell: String| cell.chars().map(printable).collect();
        self.rows.push((tone, cells.into_iter().map(shown).collect()));
    }

    /// The lines, each column as wide as its widest cell.
    pub(super) fn lines(self) -> Vec<Line> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|(_, cells)| cells[column].chars().count());
            cells.chain([self.heads[column].0.len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let join = |cells: &mut dyn Iterator<Item = &str>| {
            let padded =
                cells.zip(&widths).zip(&self.heads).map(
                    |((cell, width), (_, align))| match align {
                        Align::Left => format!("{cell:<width$}"),
                        Align::Right => format!("{cell:>width$}"),
                    },
                );
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let heads = join(&mut self.heads.iter().map(|(head, _)| *head));
        let rows = self
            .rows
            .iter()
            .map(|(tone, cells)| Line::new(*tone, join(&mut cells.iter().map(String::as_str))));
        std::iter::once(Line::new(Tone::Strong, heads)).chain(rows).collect()
    }
}

fn printable(character: char) -> char {
    if character.is_control() { '?' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_peers_cannot_break_them() {
        let mut table =
            Table::new(&[("NAME", Align::Left), ("N", Align::Right), ("END", Align::Left)]);
        table.row(Tone::Plain, vec!["a".into(), "1,000".into(), "x".into()]);
        table.row(Tone::Bad, vec!["långt\u{1b}\n".into(), "1".into(), String::new()]);
        let texts: Vec<_> = table.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["NAME         N  END", "a        1,000  x", "långt??      1"]);
    }
}
