//! Columns that line up.

use super::line::{Line, faint};

/// Rows under a head; the last column is as wide as it likes.
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Line>>,
}

impl Table {
    pub(crate) fn new(head: impl Into<Vec<&'static str>>) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<Line>>) {
        self.rows.push(cells.into());
    }

    /// The lines, without columns that are empty in every row.
    pub(crate) fn lines(self) -> Vec<Line> {
        let used = |column: usize| {
            self.rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.width() > 0))
        };
        let columns: Vec<usize> = (0..self.head.len()).filter(|c| used(*c)).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(Line::width);
            cells.max().unwrap_or(0).max(self.head[column].len())
        };
        let widths: Vec<usize> = columns.iter().map(|c| width(*c)).collect();
        let join = |cells: Vec<Line>| {
            cells.into_iter().zip(&widths).fold(Line::default(), |line, (cell, width)| {
                let end = if line.width() == 0 { *width } else { line.width() + 2 + *width };
                let gap = if line.width() == 0 { "" } else { "  " };
                line.plain(gap).append(cell).pad(end)
            })
        };
        let head = columns.iter().map(|c| Line::of(faint(), self.head[*c])).collect();
        let rows = self
            .rows
            .iter()
            .map(|row| columns.iter().map(|c| row.get(*c).cloned().unwrap_or_default()).collect());
        std::iter::once(head).chain(rows).map(join).collect()
    }
}
