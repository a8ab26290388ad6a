//! Evidence containers, ASiC-E (signatures and evidence §4).
