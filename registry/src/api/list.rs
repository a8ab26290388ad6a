//! Pages of lists: filter, order, cut (registry and administration §6.10).
//!
//! A list may have hundreds of thousands of rows, so nothing here copies a row, and only the rows up
//! to the end of the page are put in order.

use std::cmp::Ordering;

use administration::api::ApiError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows of a page when the call does not say.
const DEFAULT_LIMIT: i64 = 25;

/// How a list is cut and ordered.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Paging {
    /// By what it is ordered; without it by the order of addition.
    pub sort: Option<String>,
    /// The greatest first.
    pub desc: Option<bool>,
    /// Rows of a page, by default 25.
    #[schemars(range(min = 1, max = 2147483647))]
    pub limit: Option<i64>,
    /// Number of the page, from 0.
    #[schemars(range(min = 0, max = 2147483647))]
    pub offset: Option<i64>,
}

/// Where a page stands in its list.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct PagingMetadata {
    /// Rows of the whole list.
    pub total_items: usize,
    /// Rows of this page.
    pub items: usize,
    /// Rows of a full page.
    pub limit: usize,
    /// Number of this page, from 0.
    pub offset: usize,
}

/// A page of a list.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// Where it stands.
    pub paging_metadata: PagingMetadata,
}

/// A name by which a list can be ordered, with the comparison.
pub(crate) type Order<R> = (&'static str, fn(&R, &R) -> Ordering);

impl Paging {
    /// The rows of the page that was asked for, in the order that was asked for. `rows` come in the
    /// order of addition, which decides between rows that are otherwise equal.
    ///
    /// # Errors
    /// 400 when the page or the order does not exist.
    pub(crate) fn cut<R>(
        &self,
        rows: impl Iterator<Item = R>,
        orders: &[Order<R>],
    ) -> Result<(Vec<R>, PagingMetadata), ApiError> {
        let limit = number(self.limit.unwrap_or(DEFAULT_LIMIT), 1, "limit")?;
        let offset = number(self.offset.unwrap_or(0), 0, "offset")?;
        let (start, end) = (offset.saturating_mul(limit), offset.saturating_add(1).saturating_mul(limit));
        let sort = self.sort.as_deref().filter(|sort| !sort.trim().is_empty());
        let (mut rows, total_items) = match sort {
            None => first(rows, end),
            Some(sort) => {
                let order = orders.iter().find(|(name, _)| *name == sort).map(|(_, compare)| compare);
                let order =
                    order.ok_or_else(|| ApiError::bad_request("invalid_sort_properties").with(sort))?;
                let desc = self.desc.unwrap_or(false);
                least(rows, end, |one, other| if desc { order(other, one) } else { order(one, other) })
            }
        };
        let rows: Vec<R> = rows.drain(start.min(rows.len())..).collect();
        let metadata = PagingMetadata { total_items, items: rows.len(), limit, offset };
        Ok((rows, metadata))
    }
}

/// The first rows, and how many there are.
fn first<R>(rows: impl Iterator<Item = R>, most: usize) -> (Vec<R>, usize) {
    let mut count = 0_usize;
    let mut kept = Vec::new();
    for row in rows {
        count += 1;
        if kept.len() < most {
            kept.push(row);
        }
    }
    (kept, count)
}

/// The least rows in order, and how many there are in all. Most rows of a long list are compared once:
/// with the last of those that are kept.
fn least<R>(
    rows: impl Iterator<Item = R>,
    most: usize,
    order: impl Fn(&R, &R) -> Ordering,
) -> (Vec<R>, usize) {
    // Rows that are otherwise equal stay in the order in which they came.
    let compare = |one: &(usize, R), other: &(usize, R)| order(&one.1, &other.1).then(one.0.cmp(&other.0));
    let room = most.saturating_mul(2).max(1024);
    let mut kept: Vec<(usize, R)> = Vec::new();
    let mut count = 0_usize;
    // From the first time on that some were dropped, the row at `most - 1` is the greatest to keep.
    let mut dropped = false;
    for row in rows {
        let row = (count, row);
        count += 1;
        let last = kept.get(most.saturating_sub(1)).filter(|_| dropped);
        if last.is_some_and(|last| compare(&row, last).is_ge()) {
            continue;
        }
        kept.push(row);
        if kept.len() >= room {
            kept.select_nth_unstable_by(most.saturating_sub(1), compare);
            kept.truncate(most);
            dropped = true;
        }
    }
    kept.sort_unstable_by(compare);
    kept.truncate(most);
    (kept.into_iter().map(|(_, row)| row).collect(), count)
}

fn number(value: i64, least: i64, name: &str) -> Result<usize, ApiError> {
    let within = (least..=i64::from(i32::MAX)).contains(&value);
    let bad = || ApiError::bad_request("invalid_pagination_properties").with(name);
    if within { usize::try_from(value).map_err(|_| bad()) } else { Err(bad()) }
}

/// Compares texts as people read lists: letter case does not count.
pub(crate) fn folded(one: &str, other: &str) -> Ordering {
    if one.is_ascii() && other.is_ascii() {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        return one.bytes().map(lower).cmp(other.bytes().map(lower));
    }
    one.chars().flat_map(char::to_lowercase).cmp(other.chars().flat_map(char::to_lowercase))
}

/// What a text is searched for: letter case does not count, an empty search finds everything.
pub(crate) struct Search {
    text: String,
    ascii: bool,
}

impl Search {
    /// A search, unless there is nothing to search for.
    pub(crate) fn new(text: Option<&str>) -> Option<Self> {
        let text = text.filter(|text| !text.trim().is_empty())?.to_lowercase();
        Some(Self { ascii: text.is_ascii(), text })
    }

    /// Whether it is part of `text`.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if !text.is_ascii() {
            return text.to_lowercase().contains(&self.text);
        }
        let wanted = self.text.as_bytes();
        self.ascii && text.as_bytes().windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
    }

    /// Whether it is part of one of the texts.
    pub(crate) fn is_in_any<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        texts.into_iter().any(|text| self.is_in(text))
    }
}

/// Whether a text has what a filter asks for; no filter lets everything through.
pub(crate) fn passes(search: Option<&Search>, text: &str) -> bool {
    search.is_none_or(|search| search.is_in(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &[Order<&str>] = &[("name", |one, other| folded(one, other))];

    fn cut(paging: &Paging) -> Vec<&'static str> {
        let rows = ["b", "a", "C", "d", "B"];
        paging.cut(rows.into_iter(), ORDERS).unwrap().0
    }

    #[test]
    fn pages() {
        let by_name = |limit, offset, desc| Paging {
            sort: Some("name".into()),
            desc: Some(desc),
            limit: Some(limit),
            offset: Some(offset),
        };
        assert_eq!(cut(&Paging::default()), ["b", "a", "C", "d", "B"]);
        assert_eq!(cut(&by_name(2, 0, false)), ["a", "b"]);
        assert_eq!(cut(&by_name(2, 1, false)), ["B", "C"]);
        assert_eq!(cut(&by_name(2, 2, false)), ["d"]);
        assert_eq!(cut(&by_name(3, 0, true)), ["d", "C", "b"]);
        assert_eq!(cut(&by_name(25, 0, true)), ["d", "C", "b", "B", "a"]);
        assert_eq!(cut(&by_name(2, i64::from(i32::MAX), false)), [""; 0]);
        let (_, metadata) = by_name(2, 1, false).cut(["b", "a", "c"].into_iter(), ORDERS).unwrap();
        assert_eq!(metadata, PagingMetadata { total_items: 3, items: 1, limit: 2, offset: 1 });
    }

    #[test]
    fn long_lists_are_cut_as_short_ones() {
        let rows: Vec<u32> = (0..5000).map(|number| number * 7919 % 5003).collect();
        let orders: [Order<u32>; 1] = [("n", |one, other| (one / 2).cmp(&(other / 2)))];
        for desc in [false, true] {
            let mut expected: Vec<(usize, u32)> = rows.iter().copied().enumerate().collect();
            expected.sort_by(|one, other| {
                let by = (one.1 / 2).cmp(&(other.1 / 2));
                if desc { by.reverse() } else { by }
            });
            for (limit, offset) in [(1, 0), (25, 0), (25, 7), (600, 3), (5000, 0), (6000, 0)] {
                let paging = Paging {
                    sort: Some("n".into()),
                    desc: Some(desc),
                    limit: Some(limit),
                    offset: Some(offset),
                };
                let (page, metadata) = paging.cut(rows.iter().copied(), &orders).unwrap();
                let (limit, offset) = (limit as usize, offset as usize);
                let wanted = expected.iter().skip(limit * offset).take(limit).map(|(_, row)| *row);
                assert_eq!(page, wanted.collect::<Vec<_>>(), "{limit} {offset} {desc}");
                assert_eq!(metadata.total_items, 5000);
            }
        }
    }

    #[test]
    fn pages_that_cannot_be() {
        for (limit, offset, sort) in
            [(Some(0), None, None), (Some(-1), None, None), (None, Some(-1), None), (None, None, Some("x"))]
        {
            let paging = Paging { limit, offset, sort: sort.map(str::to_owned), desc: None };
            assert_eq!(paging.cut(["a"].into_iter(), ORDERS).unwrap_err().status(), 400);
        }
    }

    #[test]
    fn searches() {
        let finds = |wanted: &str, text: &str| Search::new(Some(wanted)).unwrap().is_in(text);
        assert!(finds("EST", "Test member") && finds("ệt", "VIỆT") && !finds("ệ", "viet") && !finds("x", ""));
        assert!(Search::new(Some(" ")).is_none() && Search::new(None).is_none());
        assert!(folded("a", "B").is_lt() && folded("Ä", "ä").is_eq() && folded("ab", "a").is_gt());
    }
}
