//! Reads TOML so that every problem is told, each with its line and the name of its field.
//!
//! A derived reader stops at the first key it does not know. An operator who edits a long file wants
//! the whole list, so tables are walked by hand: whoever reads a table asks for its fields by name,
//! and [`Table::finish`] complains about those that nobody asked for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// One thing that is wrong with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// The field, such as `security-server[2].owner`; empty for the file as a whole.
    pub field: String,
    /// What is wrong, as a clause.
    pub text: String,
}

/// Everything that is wrong with a file, in the order of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "line {}: {}", self.line, self.text)
        } else {
            write!(f, "line {}, {}: {}", self.line, self.field, self.text)
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => only.fmt(f),
            all => {
                write!(f, "{} problems", all.len())?;
                all.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for Problems {}

/// A value with the place it stands at.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// Where in the file something stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    line: usize,
    field: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}", self.line, self.field)
    }
}

/// Collects the problems of one file.
pub(crate) struct Reader<'t> {
    text: &'t str,
    line_ends: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    /// How many of them are errors of syntax.
    broken: Cell<usize>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let line_ends =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { text, line_ends, problems: RefCell::default(), broken: Cell::new(0) }
    }

    /// The document. If it is no TOML, that is all that will be told: what was read around the broken
    /// places is guesswork.
    pub(crate) fn document(&self) -> Spanned<DeTable<'t>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let line = self.line(error.span().map_or(0, |span| span.start));
            self.problem(&Place { line, field: String::new() }, error.message());
        }
        self.broken.set(self.problems.borrow().len());
        document
    }

    /// The document's table of fields.
    pub(crate) fn root<'r>(&'r self, document: &'r Spanned<DeTable<'t>>) -> Table<'r, 't> {
        Table {
            reader: self,
            place: Place { line: 1, field: String::new() },
            table: document.get_ref(),
            asked: BTreeSet::new(),
        }
    }

    pub(crate) fn problem(&self, place: &Place, text: impl Into<String>) {
        let problem = Problem { line: place.line, field: place.field.clone(), text: text.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// The value, unless there was any problem.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        let mut problems = self.problems.into_inner();
        if self.broken.get() > 0 {
            problems.truncate(self.broken.get());
        }
        problems.sort_by_key(|problem| problem.line);
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems(problems)),
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }
}

/// A table of the file.
pub(crate) struct Table<'r, 't> {
    reader: &'r Reader<'t>,
    place: Place,
    table: &'r DeTable<'t>,
    asked: BTreeSet<&'static str>,
}

impl<'r, 't> Table<'r, 't> {
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// A text; none if it is absent or of another type.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let (value, place) = self.value(key)?;
        match value {
            DeValue::String(text) => Some(At { value: text.to_string(), place }),
            other => self.wrong(&place, "a text in quotes", other),
        }
    }

    /// A text that must be there and not be blank.
    pub(crate) fn needed_text(&mut self, key: &'static str) -> Option<At<String>> {
        self.need(key);
        let text = self.text(key)?;
        if text.value.trim().is_empty() {
            self.reader.problem(&text.place, "is empty");
            return None;
        }
        Some(text)
    }

    /// A truth value.
    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let (value, place) = self.value(key)?;
        match value {
            DeValue::Boolean(value) => Some(*value),
            other => self.wrong(&place, "true or false", other),
        }
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn number(&mut self, key: &'static str, least: u64, most: u64) -> Option<u64> {
        let (value, place) = self.value(key)?;
        let number = match value {
            DeValue::Integer(number) => {
                u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
            }
            other => return self.wrong(&place, "a whole number", other),
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => {
                self.reader.problem(&place, format!("must be from {least} to {most}"));
                None
            }
        }
    }

    /// A list of texts; empty if it is absent.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let Some((value, place)) = self.value(key) else { return Vec::new() };
        let Some(items) = self.items(value, &place, "a list of texts") else { return Vec::new() };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = self.item_place(&place, index, item);
            match item.get_ref() {
                DeValue::String(text) => texts.push(At { value: text.to_string(), place }),
                other => drop(self.wrong::<()>(&place, "a text in quotes", other)),
            }
        }
        texts
    }

    /// A list of tables, `[[key]]`; empty if it is absent.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Table<'r, 't>> {
        let Some((value, place)) = self.value(key) else { return Vec::new() };
        let Some(items) = self.items(value, &place, "a list of tables") else { return Vec::new() };
        let mut tables = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = self.item_place(&place, index, item);
            match item.get_ref() {
                DeValue::Table(table) => {
                    tables.push(Table { reader: self.reader, place, table, asked: BTreeSet::new() });
                }
                other => drop(self.wrong::<()>(&place, "a table", other)),
            }
        }
        tables
    }

    /// A table of its own, `[key]`.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<Table<'r, 't>> {
        let (value, place) = self.value(key)?;
        match value {
            DeValue::Table(table) => {
                Some(Table { reader: self.reader, place, table, asked: BTreeSet::new() })
            }
            other => self.wrong(&place, "a table", other),
        }
    }

    /// Complains about the table as a whole.
    pub(crate) fn problem(&self, text: impl Into<String>) {
        self.reader.problem(&self.place, text);
    }

    /// Complains about something in the table.
    pub(crate) fn problem_at(&self, place: &Place, text: impl Into<String>) {
        self.reader.problem(place, text);
    }

    /// Complains if the key is absent.
    pub(crate) fn need(&mut self, key: &'static str) {
        if !self.table.keys().any(|candidate| candidate.get_ref() == key) {
            let text = format!("`{key}` is missing");
            self.reader.problem(&self.place, text);
        }
    }

    /// Complains about every key that nobody asked for.
    pub(crate) fn finish(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.asked.contains(name) {
                let place = self.below(name, key.span().start);
                let known: Vec<&str> = self.asked.iter().copied().collect();
                self.reader.problem(&place, format!("is not known here; known are {}", known.join(", ")));
            }
        }
    }

    fn value(&mut self, key: &'static str) -> Option<(&'r DeValue<'t>, Place)> {
        self.asked.insert(key);
        let (at, value) = self.table.iter().find(|(candidate, _)| candidate.get_ref() == key)?;
        Some((value.get_ref(), self.below(key, at.span().start)))
    }

    fn below(&self, key: &str, offset: usize) -> Place {
        let line = self.reader.line(offset);
        let dot = if self.place.field.is_empty() { "" } else { "." };
        Place { line, field: format!("{}{dot}{key}", self.place.field) }
    }

    fn item_place(&self, list: &Place, index: usize, item: &Spanned<DeValue<'t>>) -> Place {
        Place { line: self.reader.line(item.span().start), field: format!("{}[{index}]", list.field) }
    }

    fn items(&self, value: &'r DeValue<'t>, place: &Place, wanted: &str) -> Option<&'r DeArray<'t>> {
        match value {
            DeValue::Array(items) => Some(items),
            other => self.wrong(place, wanted, other),
        }
    }

    fn wrong<T>(&self, place: &Place, wanted: &str, value: &DeValue<'t>) -> Option<T> {
        self.reader.problem(place, format!("must be {wanted}, not a {}", value.type_str()));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let reader = Reader::new(text);
        let document = reader.document();
        let mut root = reader.root(&document);
        root.needed_text("name");
        root.boolean("on");
        root.number("count", 1, 9);
        root.texts("list");
        for mut item in root.tables("item") {
            item.needed_text("code");
            item.finish();
        }
        root.finish();
        let told = match reader.finish(Some(())) {
            Ok(()) => Vec::new(),
            Err(Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn problems_are_told_together() {
        check("name = 'x'\non = true\ncount = 9\nlist = ['a']\n[[item]]\ncode = 'c'\n", &[]);
        check("", &["line 1: `name` is missing"]);
        check(
            "name = 3\non = 'x'\ncount = 10\nlist = ['a',\n 4]\nmane = 1\n[[item]]\n[[item]]\ncode=' '\n",
            &[
                "line 1, name: must be a text in quotes, not a integer",
                "line 2, on: must be true or false, not a string",
                "line 3, count: must be from 1 to 9",
                "line 5, list[1]: must be a text in quotes, not a integer",
                "line 6, mane: is not known here; known are count, item, list, name, on",
                "line 7, item[0]: `code` is missing",
                "line 9, item[1].code: is empty",
            ],
        );
    }
}
