//! The network between host and relay goes away and comes back.

use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Namespace, Relay, Viewer, World};

#[test]
fn host_whose_network_vanishes_for_a_while_goes_on_where_it_was() {
    let Some(namespace) = Namespace::make() else { return };
    let world = World::new();
    let relay = Relay::start_with(&world, namespace.host_address(), &[]);
    let options = HostOptions { namespace: Some(namespace.clone()), ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    namespace.cut();
    // The local terminal knows nothing of it.
    host.terminal.enter_line("echo in the tunnel");
    wait_until_shows(&world, &host.terminal, "\nin the tunnel");
    viewer.wait_until_shows("host last heard");
    // What is typed meanwhile is not lost.
    viewer.terminal.enter_line("echo typed blindly $((40 + 2))");
    namespace.mend();
    wait_until_shows(&world, &host.terminal, "\ntyped blindly 42");
    viewer.wait_until_same(&host);
    viewer.terminal.enter_line("echo and on");
    viewer.wait_until_shows("\nand on");
    viewer.wait_until_same(&host);
}
