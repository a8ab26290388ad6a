//! Whole federations: every node a process of its own, over real sockets, from the files an operator
//! would write.

mod certificates;
mod classes;
mod command_line;
mod configuration;
mod doctor;
mod full_log;
mod kill;
mod refusals;
mod services;
mod soap;
mod streams;
mod support;
mod tamper;
mod up;
