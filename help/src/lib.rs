//! `help` makes manual pages and shell completions of a program's command line, so that they say
//! what `--help` says. It knows neither of the programs that have them.

pub mod completions;
pub mod manual;
