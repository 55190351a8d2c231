//! The program `netsim`: described networks, played to real programs.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
