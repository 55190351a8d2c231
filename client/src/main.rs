//! `tern`: shares the terminal it runs in.

fn main() -> std::process::ExitCode {
    tern_client::shell::cli::run()
}
