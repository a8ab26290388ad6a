//! Pages of long lists (registry and administration §6.10).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// Longest page.
const LONGEST: usize = 1000;
const DEFAULT: usize = 25;

/// Which page is wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PagingQuery {
    /// So many at most; by default 25.
    pub limit: Option<u32>,
    /// After so many pages; by default 0.
    pub offset: Option<u32>,
    /// By which field.
    pub sort: Option<String>,
    /// From the last to the first.
    pub desc: Option<bool>,
    /// Only what contains this text.
    pub q: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where it is.
    pub paging_metadata: PagingMetadata,
}

/// Where a page is.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct PagingMetadata {
    /// So many there are in all.
    pub total_items: usize,
    /// So many are on the page.
    pub items: usize,
    /// So many fit on it.
    pub limit: usize,
    /// So many pages come before it.
    pub offset: usize,
}

impl PagingQuery {
    /// Limit, and how many items to skip.
    ///
    /// # Errors
    /// 400 when the limit is 0 or above 1,000.
    pub fn window(&self) -> Result<(usize, usize), ApiError> {
        let limit = self.limit.map_or(DEFAULT, |limit| limit as usize);
        if limit == 0 || limit > LONGEST {
            return Err(ApiError::validation("limit", "Range"));
        }
        Ok((limit, limit.saturating_mul(self.offset.unwrap_or(0) as usize)))
    }

    /// The page of what was found.
    pub fn page<T>(&self, items: Vec<T>, total: usize) -> Page<T> {
        let limit = self.limit.map_or(DEFAULT, |limit| limit as usize);
        let offset = self.offset.unwrap_or(0) as usize;
        let paging_metadata = PagingMetadata { total_items: total, items: items.len(), limit, offset };
        Page { items, paging_metadata }
    }
}
