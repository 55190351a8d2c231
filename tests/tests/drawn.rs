//! What a viewer's terminal shows is what its machines say it shows, and in the end what the host's
//! shows: random output, random typing, a random network, in virtual time.
//!
//! ```text
//!   program ─► Screen ─► Replica ══ netsim ══ Endpoint ─► Viewing ─► Renderer ─► vt100, an emulator
//!      ▲                    │                    ▲           ▲                   written by others
//!      └─────── keys ◄──────┘                    └── keys ───┴── a person
//! ```
//!
//! Always: the emulator shows the frame that was to be drawn, predictions and notices included; and
//! no picture arrives that the host never had. When typing has ended and the network is good again:
//! the viewer's picture is the host's, so that whatever was foretold is confirmed or gone.

#[path = "../../term/tests/opinion/mod.rs"]
mod opinion;
#[path = "../../term/tests/output/mod.rs"]
#[allow(dead_code)] // Its step that resizes the host is not taken here.
mod output;

use netsim::link::loss::Loss;
use netsim::link::settings::Change;
use netsim::units::Probability;
use netsim::virtual_time::SocketId;
use netsim::{Action, Description, Link};
use opinion::{agreed, assert_same, capabilities, parser};
use output::Step;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_client::core::marks::Marks;
use tern_client::core::prediction::display::Mode;
use tern_client::core::viewing::Viewing;
use tern_relay::core::painter::View;
use tern_relay::core::replica::{Output, Replica};
use tern_sync::Endpoint;
use tern_sync::Event;
use tern_sync::link::Incoming;
use tern_sync::log::{Log, Whole};
use tern_sync::session::{
    FAREWELL, HOST_STANDING, HostStanding, VIEWER_ACTIONS, ViewerAction, ViewerId,
};
use tern_term::{Clusters, Frame, KeyReport, KeyTarget, Renderer, SCREEN, Screen, Shown, Size};

const MS: Duration = Duration::from_millis(1);
const PATH: &str = "path";
const ID: ViewerId = ViewerId(4);
/// A datagram of a link over QUIC.
const DATAGRAM_SIZE: usize = 1162;
/// How long a message on a stream takes; QUIC repeats what was lost of it.
const STREAM_TIME: Duration = Duration::from_millis(300);
/// In this time all is still after the last fault: hints and news stay for 5 s.
const SETTLE_TIME: Duration = Duration::from_secs(30);

/// What the program does with a key.
#[derive(Debug, Clone, Copy)]
enum Program {
    /// The kernel echoes it.
    Echoed,
    /// It echoes itself.
    Raw,
    /// It shows a star, as for a password.
    Masks,
    /// It shows something that nobody can foretell.
    Turns,
}

#[derive(Debug, Clone)]
enum Happens {
    Prints(Vec<u8>),
    Types(&'static str),
    Down,
    Up,
    /// The viewer's window.
    Resizes(Size),
}

#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    delay: u64,
    jitter: u64,
    loss: f64,
    mode: Mode,
    program: Program,
    /// With the pause before each, in milliseconds.
    happens: Vec<(u64, Happens)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let path = (1..300_u64, 0..60_u64, prop_oneof![Just(0.0), 0.0..40.0]);
    let mode = prop::sample::select(vec![Mode::Adaptive, Mode::Always, Mode::Never]);
    let program =
        prop::sample::select(vec![Program::Echoed, Program::Raw, Program::Masks, Program::Turns]);
    let happens = prop::collection::vec((0..400_u64, happening()), 1..40);
    (any::<u64>(), path, mode, program, happens).prop_map(
        |(seed, (delay, jitter, loss), mode, program, happens)| Plan {
            seed,
            delay,
            jitter,
            loss,
            mode,
            program,
            happens,
        },
    )
}

fn happening() -> impl Strategy<Value = Happens> {
    let keys = vec![
        "a",
        "b",
        "l",
        "s",
        " ",
        "x",
        "ä",
        "日",
        "\u{301}",
        "\r",
        "\x7f",
        "\x7f",
        "\x01",
        "\x05",
        "\x1b[D",
        "\x1b[C",
        "\x1b[A",
        "\t",
        "word",
        "\x17",
        "\x03",
        "\x1b[200~paste\x1b[201~",
    ];
    let prints = output::steps().prop_map(|steps| {
        let written = steps.into_iter().filter_map(|step| match step {
            Step::Write(bytes) => Some(bytes),
            Step::Resize(_) => None,
        });
        Happens::Prints(agreed(&written.collect::<Vec<_>>().concat()))
    });
    prop_oneof![
        12 => prop::sample::select(keys).prop_map(Happens::Types),
        5 => prints,
        1 => Just(Happens::Down),
        1 => Just(Happens::Up),
        1 => prop_oneof![
            Just(output::SIZE),
            (2..40_u16, 2..16_u16).prop_map(|(cols, rows)| Size { cols, rows }),
        ].prop_map(Happens::Resizes),
    ]
}

/// The host and the relay on one side, the viewer on the other.
struct World {
    start: Instant,
    now: Instant,
    network: netsim::virtual_time::World,
    sockets: [SocketId; 2],
    is_down: bool,
    /// Messages on streams: when they arrive, whether at the viewer, and what they say.
    streams: VecDeque<(Instant, bool, Vec<u8>)>,
    program: Program,
    screen: Screen,
    marks: Marks,
    /// All pictures that the host had.
    had: Vec<Frame>,
    replica: Replica,
    endpoint: Endpoint,
    viewing: Viewing,
    size: Size,
    renderer: Renderer,
    emulator: vt100::Parser,
}

const RELAY: usize = 0;
const VIEWER: usize = 1;
const ADDRESSES: [&str; 2] = ["10.0.1.2:2200", "10.0.1.1:5000"];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

impl World {
    fn new(plan: &Plan) -> Self {
        let start = Instant::now();
        let link = Link::new(PATH, "viewer", "relay")
            .delay(u32::try_from(plan.delay).expect("small") * MS)
            .jitter(u32::try_from(plan.jitter).expect("small") * MS)
            .loss(Probability::percent(plan.loss));
        let description = Description::new().host("viewer").host("relay").link(link);
        let mut network =
            netsim::virtual_time::World::new(&description, plan.seed).expect("a whole network");
        let sockets = [
            network.bind("relay", address("0.0.0.0:2200")).expect("a socket"),
            network.bind("viewer", address("0.0.0.0:5000")).expect("a socket"),
        ];
        let mut screen = Screen::new(output::SIZE);
        screen.set_clusters(Clusters::ByWidth);
        let mut endpoint = Endpoint::new(plan.seed, start);
        endpoint.open_receiver(SCREEN, Shown::default());
        endpoint.open_receiver(HOST_STANDING, Whole(HostStanding::default()));
        endpoint.open_receiver(FAREWELL, Log::new());
        endpoint.open_sender(VIEWER_ACTIONS, Log::<ViewerAction>::new());
        let mut replica = Replica::new(Arc::default(), Duration::from_secs(3600), start);
        replica.handle_link(1, plan.seed + 1, start).expect("it has just begun");
        let mut renderer = Renderer::new(capabilities());
        let mut emulator = parser(output::SIZE);
        emulator.process(&renderer.enter());
        let mut world = Self {
            start,
            now: start,
            network,
            sockets,
            is_down: false,
            streams: VecDeque::new(),
            program: plan.program,
            screen,
            marks: Marks::default(),
            had: vec![Frame::default()],
            replica,
            endpoint,
            viewing: Viewing::new(true, output::SIZE, plan.mode, start),
            size: output::SIZE,
            renderer,
            emulator,
        };
        world.show();
        world
    }

    /// The host's screen, and what the host knows of keys, change.
    fn show(&mut self) {
        let frame = self.screen.frame();
        self.had.push(frame.clone());
        let target = match self.program {
            Program::Echoed => KeyTarget::Echoed,
            Program::Raw | Program::Masks | Program::Turns => KeyTarget::Raw,
        };
        let keys = KeyReport { target, marks: self.marks.answered(), ..KeyReport::default() };
        let view = View { frame, keys: keys.into(), ..View::default() };
        self.replica.handle_view(Arc::new(view), self.now);
    }

    fn happens(&mut self, what: &Happens) {
        match what {
            Happens::Prints(bytes) => {
                self.screen.handle_output(bytes, self.now);
                self.show();
            }
            Happens::Types(keys) => self.viewing.handle_bytes(keys.as_bytes(), self.now),
            Happens::Down => self.cut(true),
            Happens::Up => self.cut(false),
            Happens::Resizes(size) => {
                self.size = *size;
                let nonzero = |n| NonZeroU16::new(n).expect("windows have a size");
                self.emulator.set_size(nonzero(size.rows), nonzero(size.cols));
                self.renderer.forget();
                self.viewing.handle_resize(*size);
                self.viewing.handle_redraw();
            }
        }
        self.settle();
    }

    fn cut(&mut self, is_down: bool) {
        self.is_down = is_down;
        let action = if is_down { Action::down(PATH) } else { Action::up(PATH) };
        self.network.handle_event(action).expect("the path is there");
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let network = self.network.poll_timeout().map(|at| self.start + at);
            let stream = self.streams.front().filter(|_| !self.is_down).map(|(at, ..)| *at);
            let due = [
                network,
                stream,
                self.replica.poll_timeout(),
                self.endpoint.poll_timeout(),
                self.viewing.poll_timeout(self.now),
                self.marks.poll_timeout(),
                self.screen.poll_timeout(),
            ];
            let Some(due) = due.into_iter().flatten().min().filter(|due| *due <= end) else {
                break;
            };
            // A deadline of this moment is met a little later, so that time goes on.
            self.now = due.max(self.now + MS / 100);
            self.on_time();
            self.settle();
        }
        self.now = self.now.max(end);
        self.network.handle_timeout(self.now - self.start);
    }

    fn on_time(&mut self) {
        self.network.handle_timeout(self.now - self.start);
        for (side, socket) in self.sockets.into_iter().enumerate() {
            while let Some(received) = self.network.receive(socket) {
                self.deliver(side == VIEWER, Incoming::Datagram(received.payload.into()));
            }
        }
        while !self.is_down && self.streams.front().is_some_and(|(at, ..)| *at <= self.now) {
            if let Some((_, is_for_viewer, message)) = self.streams.pop_front() {
                self.deliver(is_for_viewer, Incoming::Stream(message));
            }
        }
        self.replica.handle_timeout(self.now);
        self.endpoint.handle_timeout(self.now);
        self.viewing.handle_timeout(self.now);
        let is_answered = self.marks.handle_timeout(self.now);
        if self.screen.poll_timeout().is_some_and(|due| due <= self.now) || is_answered {
            self.screen.handle_timeout(self.now);
            self.show();
        }
    }

    fn deliver(&mut self, is_for_viewer: bool, incoming: Incoming) {
        if is_for_viewer {
            incoming.feed(&mut self.endpoint, self.now).expect("the relay keeps to the protocol");
        } else {
            self.replica.handle_incoming(incoming, self.now);
        }
    }

    /// Passes on what is due, and draws.
    fn settle(&mut self) {
        while let Some(action) = self.viewing.poll_action() {
            self.endpoint.update(VIEWER_ACTIONS, self.now, |log| assert!(log.push(action)));
        }
        while let Some(output) = self.endpoint.poll_output(self.now, DATAGRAM_SIZE) {
            self.send(VIEWER, output);
        }
        while let Some(output) = self.replica.poll_output(self.now, Some(DATAGRAM_SIZE)) {
            match output {
                Output::Link(output) => self.send(RELAY, output),
                Output::Join(_) => self.replica.handle_joined(ID, self.now),
                Output::Resize(_) | Output::Silence(_) => {}
                other @ (Output::CloseLink { .. } | Output::Leave | Output::Over) => {
                    panic!("the relay lets the viewer go: {other:?}")
                }
            }
        }
        while let Some(typed) = self.replica.poll_typed(self.now) {
            self.marks.handle_input(ID, typed.mark);
            self.answer(&typed.bytes);
            self.marks.handle_typed(self.now);
            self.show();
        }
        while let Some(event) = self.endpoint.poll_event() {
            if event == Event::Received(SCREEN.id) {
                let shown = self.endpoint.received(SCREEN).clone();
                assert!(self.had.contains(&shown.frame), "a picture that the host never had");
                self.viewing.handle_shown(shown, self.now);
            }
        }
        self.viewing.handle_rtt(self.endpoint.rtt());
        self.draw();
    }

    fn send(&mut self, from: usize, output: tern_sync::Output) {
        match output {
            tern_sync::Output::Datagram(bytes) => {
                let to = address(ADDRESSES[1 - from]);
                // A path that is down says so, as to any program.
                let _ = self.network.send(self.sockets[from], to, bytes);
            }
            tern_sync::Output::Stream { message, .. } => {
                self.streams.push_back((self.now + STREAM_TIME, from == RELAY, message));
            }
            tern_sync::Output::ResetStream { .. } => {}
        }
    }

    fn answer(&mut self, keys: &[u8]) {
        let mut shown = Vec::new();
        for key in keys {
            match (key, self.program) {
                (b'\r', _) => shown.extend(b"\r\n$ "),
                (0x7f, _) => shown.extend(b"\x08 \x08"),
                (0..0x20, _) => {}
                (_, Program::Masks) => shown.push(b'*'),
                (_, Program::Turns) => shown.extend(key.to_string().bytes()),
                (_, Program::Echoed | Program::Raw) => shown.push(*key),
            }
        }
        self.screen.handle_output(&shown, self.now);
    }

    fn draw(&mut self) {
        if let Some(frame) = self.viewing.poll_frame(self.now) {
            let bytes = self.renderer.render(&frame);
            self.emulator.process(&bytes);
            assert_same(&frame, self.emulator.screen(), &bytes);
        }
    }
}

fn play(plan: &Plan) {
    let mut world = World::new(plan);
    for (pause, what) in &plan.happens {
        world.pass(u32::try_from(*pause).expect("small") * MS);
        world.happens(what);
    }
    world.cut(false);
    let calm = Change::Loss(Loss::Independent(Probability::NEVER));
    world.network.handle_event(Action::set(PATH, calm)).expect("the path is there");
    world.pass(SETTLE_TIME);
    let frame = world.screen.frame();
    assert_eq!(world.endpoint.received(SCREEN).frame, frame, "the replica is the host's screen");
    if world.size == frame.size() {
        assert_same(&frame, world.emulator.screen(), b"all of the last");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn terminal_shows_what_was_drawn_and_in_the_end_what_the_host_shows(plan in plans()) {
        play(&plan);
    }
}

/// The test can fail: an emulator that shows something else is found out.
#[test]
#[should_panic(expected = "wanted")]
fn another_picture_is_found_out() {
    let frame = Frame::from_lines(output::SIZE, ["one"]);
    let mut emulator = parser(output::SIZE);
    emulator.process(b"two");
    assert_same(&frame, emulator.screen(), b"two");
}
