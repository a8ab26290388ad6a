//! The state of an instance: members, servers, trust services, groups, settings.
