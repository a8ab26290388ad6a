//! Hash chains: many messages under one signature or time-stamp (signatures and evidence §2).
