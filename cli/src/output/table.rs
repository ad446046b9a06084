//! Tables for people.

use super::paint::{Colour, Paint};

/// Rows of texts in columns that are as wide as their longest text.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<(String, Colour)>>,
}

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| ((*head).to_owned(), Colour::Head));
        Self {
            rows: vec![heads.collect()],
        }
    }

    pub(crate) fn row(&mut self, row: Vec<(String, Colour)>) {
        self.rows.push(row);
    }

    /// The lines, without spaces at their ends.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.chars().count()).max()
        };
        let widths: Vec<_> = (0..columns)
            .map(|column| width(column).unwrap_or_default())
            .collect();
        let line = |row: &Vec<(String, Colour)>| {
            let mut line = String::new();
            let mut gap = 0;
            for ((text, colour), width) in row.iter().zip(&widths) {
                line.extend(std::iter::repeat_n(' ', gap));
                line.push_str(&paint.apply(*colour, text));
                gap = width - text.chars().count() + 2;
            }
            line
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_texts_and_colours_take_no_room() {
        let mut table = Table::new(&["database", "state"]);
        table.row(vec![
            ("a".into(), Colour::Plain),
            ("down".into(), Colour::Bad),
        ]);
        let plain = table.lines(Paint { is_on: false });
        assert_eq!(plain, ["database  state", "a         down"]);
        let coloured = table.lines(Paint { is_on: true });
        assert_eq!(coloured[1], "a         \x1b[31mdown\x1b[0m");
    }
}
