//! The harness itself: what it reads off a terminal is what a person sees there.

use tern_tests::viewer::wait_until_same;
use tern_tests::{Terminal, World, fixtures};

fn shell(world: &World, term: &str) -> Terminal {
    let home = world.home(&world.unique("person"));
    fixtures::write_into(&home.join("work"));
    let args = ["env", &format!("TERM={term}"), "bash"].map(str::to_owned);
    Terminal::open(world, "shell", (80, 24), &world.environment(&home), &args)
}

#[test]
fn cells_erased_in_colour_are_read_as_coloured() {
    let world = World::new();
    let terminal = shell(&world, "tmux-256color");
    terminal.enter_line(r"clear; printf 'a\033[44m\033[Kb\033[0m\n'");
    world.wait_until("the row is blue to its end", || {
        terminal.screen().rows[0].len() == 80 && terminal.screen().row_text(0).starts_with("ab")
    });
}

#[test]
fn same_output_reads_the_same_on_two_terminals_after_a_resize() {
    let world = World::new();
    let (one, two) = (shell(&world, "tmux-256color"), shell(&world, "xterm-256color"));
    for terminal in [&one, &two] {
        terminal.enter_line("clear; cat rich.txt colors.txt wide.txt");
    }
    world.wait_until("the last line shows", || one.shows("░▒▓|"));
    wait_until_same(&world, &one, &two);
    for terminal in [&one, &two] {
        terminal.resize(70, 20);
        terminal.enter_line("clear; cat rich.txt; echo end");
    }
    world.wait_until("the last line shows", || one.text().lines().any(|line| line == "end"));
    wait_until_same(&world, &one, &two);
}

#[test]
fn a_programs_end_and_exit_code_are_seen() {
    let world = World::new();
    let terminal = shell(&world, "tmux-256color");
    assert_eq!(terminal.exit_code(), None);
    terminal.enter_line("exit 7");
    world.wait_until("the shell ends", || terminal.exit_code() == Some(7));
}

#[test]
fn nothing_of_a_sandbox_survives_it() {
    let world = World::new();
    let terminal = shell(&world, "tmux-256color");
    terminal.enter_line("setsid sleep 1000 & disown; exit");
    world.wait_until("the program runs alone", || {
        terminal.exit_code().is_some() && world.processes().iter().any(|p| p.name() == "sleep")
    });
    let mark = world.folder().display().to_string();
    drop((terminal, world));
    assert!(tern_tests::process::marked(&mark).iter().all(|process| !process.is_running()));
}
