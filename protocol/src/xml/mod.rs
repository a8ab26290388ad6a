//! Canonical XML and the little XML reading that the formats need.
