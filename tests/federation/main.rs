//! Whole federations: every node a process of its own, over real sockets, from the files an operator
//! would write.

mod classes;
mod configuration;
mod kill;
mod refusals;
mod streams;
mod support;
mod tamper;
