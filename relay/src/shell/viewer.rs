//! The task of one viewer: joins, paints what its session shows at the viewer's own pace, leaves.

use super::admission::{Running, Shared, ViewerGuard};
use super::channel::{self, Writer};
use super::doors::{self, unix_time};
use super::line::{Line, Stage};
use super::session::{Message, NewViewer, Place, Release, SessionHandle, ViewerPort, wait_until};
use super::ssh::KEEPALIVE_INTERVAL;
use super::typing::{Joined, ViewerState};
use super::waiting::{AskedToken, Waited};
use crate::core::doors::{Admission, Caller};
use crate::core::first_sight::FirstSight;
use crate::core::gauge::Room;
use crate::core::input::VIEWER_BACKLOG_MAX;
use crate::core::painter::{Painter, View};
use crate::core::registry::Denied;
use crate::core::session::EXIT_LOST;
use crate::core::text;
use bytes::Bytes;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_bootstrap::authorized_keys::Credential;
use tern_bootstrap::token::random;
use tern_sync::session::{Role, ViewerId};
use tern_term::{Capabilities, Size};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::Instrument;

/// Silence after which a viewer doesn't count for the size: two keepalives unanswered.
const SILENT_AFTER: Duration = Duration::from_millis(7500);
/// How often silence is looked at.
const SILENCE_INTERVAL: Duration = Duration::from_secs(1);
/// How often room is looked for, at first and at most. The kernel doesn't tell when it comes.
const ROOM_INTERVAL_MIN: Duration = Duration::from_millis(2);
const ROOM_INTERVAL_MAX: Duration = Duration::from_millis(50);
/// A refusal comes after a random time between these, whatever its reason.
const REFUSAL_DELAY_MIN: Duration = Duration::from_millis(50);
const REFUSAL_DELAY_SPAN: Duration = Duration::from_millis(150);
/// Part of a frame that is handed to SSH at once: what is in front of a resize or a farewell.
const PART_SIZE_MAX: usize = 16 * 1024;

const _: () = assert!(SILENT_AFTER.as_millis() > 2 * KEEPALIVE_INTERVAL.as_millis());

/// A viewer with a terminal, whose token was not looked at yet.
pub(super) struct NewViewerTask {
    pub(super) token: AskedToken,
    pub(super) credential: Credential,
    pub(super) address: IpAddr,
    pub(super) capabilities: Capabilities,
    /// Closed when the viewer is gone.
    pub(super) size: watch::Receiver<Size>,
    pub(super) writer: Writer,
    pub(super) state: Arc<ViewerState>,
    pub(super) line: Arc<Line>,
    pub(super) shared: Arc<Shared>,
}

impl NewViewerTask {
    /// From the token to the end.
    pub(super) async fn run(self) {
        let line = Arc::clone(&self.line);
        self.serve().await;
        line.set_stage(Stage::Closing);
    }

    async fn serve(mut self) {
        if self.wait_for_return().await == Waited::InVain {
            return;
        }
        let joined = ViewerGuard::join(&self.shared, self.token.hash, self.address);
        let (guard, role, handle) = match joined {
            Ok(joined) => joined,
            Err(denied) => return self.refuse(denied).await,
        };
        let admission = match self.pass_doors(role, &handle).await {
            Some(Ok(admission)) => admission,
            Some(Err(denied)) => return self.refuse(denied).await,
            None => return,
        };
        let role = admission.who.role;
        let (release, on_release) = oneshot::channel();
        let credit = Arc::new(Semaphore::new(VIEWER_BACKLOG_MAX));
        let viewer = NewViewer {
            admission,
            size: *self.size.borrow_and_update(),
            keeps_replica: false,
            port: ViewerPort { release, credit: credit.clone() },
        };
        let (answer, on_answer) = oneshot::channel();
        let is_sent = handle.inbox.send(Message::Join { viewer, answer }).await.is_ok();
        let (true, Ok(Place { id, on_admit })) = (is_sent, on_answer.await) else {
            // It ended after the token was looked up.
            return self.refuse(Denied::WrongToken).await;
        };
        self.line.set_stage(Stage::Serving);
        let leave = Leave { handle: handle.clone(), id };
        let mut first_sight = on_admit.is_some().then(FirstSight::default);
        let on_release = match self.wait_at_door(on_admit, on_release).await {
            Some(on_release) => on_release,
            None => return leave.tell().await,
        };
        let now = Instant::now();
        if let Some(question) = first_sight.as_mut().and_then(|sight| sight.poll_question(now)) {
            self.line.on_sent(question.len());
            let _ = self.writer.data_bytes(question).await;
        }
        let joined = Joined { id, handle: handle.clone(), credit };
        let passing = Arc::clone(&self.state).pass_on(joined, Arc::clone(&self.line), first_sight);
        let passing = tokio::spawn(passing);
        let span = tracing::info_span!("viewer", id = id.0, address = %self.address);
        let task = self.into_task(id, role, handle, on_release);
        task.run(guard).instrument(span).await;
        passing.abort();
        leave.tell().await;
    }

    /// Waits until the host has said who may join, and whether this viewer may. `None`: it is gone.
    async fn pass_doors(
        &self,
        role: Role,
        handle: &SessionHandle,
    ) -> Option<Result<Admission, Denied>> {
        let doors = if handle.doors.borrow().is_none() {
            // It doesn't count as one that says nothing, else viewers would keep hosts out.
            self.line.set_stage(Stage::Serving);
            self.say(text::WAITING_NOTICE).await;
            let mut running = self.shared.running.clone();
            tokio::select! {
                doors = doors::said(handle) => doors,
                _ = running.wait_for(|running| *running != Running::Yes) => Err(Denied::Stopping),
                () = closed(&self.size) => return None,
            }
        } else {
            doors::said(handle).await
        };
        let (address, credential) = (self.address, &self.credential);
        let caller = Caller { role, address, credential, place: None };
        Some(doors.and_then(|doors| doors.admit(&caller, unix_time())))
    }

    /// Waits until the host lets the viewer in, if it wants to be asked. Gives by what the viewer
    /// learns of its release; `None`: it has learnt of it, or is gone.
    async fn wait_at_door(
        &self,
        on_admit: Option<oneshot::Receiver<()>>,
        mut on_release: oneshot::Receiver<Release>,
    ) -> Option<oneshot::Receiver<Release>> {
        let Some(on_admit) = on_admit else { return Some(on_release) };
        self.say(text::ASKED_NOTICE).await;
        tokio::select! {
            Ok(()) = on_admit => {
                self.state.forget_now(&self.line);
                return Some(on_release);
            }
            released = &mut on_release => {
                if let End::Released(Release { text, exit_status }) = End::released(released) {
                    tracing::info!(address = %self.address, exit_status, "viewer not let in");
                    channel::finish(&self.writer, format!("{text}\r\n"), exit_status).await;
                }
            }
            () = closed(&self.size) => {}
            () = self.state.forget(&self.line) => {}
        }
        None
    }

    /// A line on the viewer's terminal. Who has no room for it does without.
    pub(super) async fn say(&self, text: &str) {
        let line = format!("{text}\r\n");
        self.line.on_sent(line.len());
        let _ = self.writer.data_bytes(line).await;
    }

    async fn refuse(self, denied: Denied) {
        tracing::info!(address = %self.address, reason = ?denied, "viewer refused");
        delay_refusal().await;
        let line = format!("{}\r\n", denied.text());
        channel::finish(&self.writer, line, EXIT_LOST).await;
    }

    fn into_task(
        self,
        id: ViewerId,
        role: Role,
        mut handle: SessionHandle,
        on_release: oneshot::Receiver<Release>,
    ) -> ViewerTask {
        let view = handle.view.borrow_and_update().clone();
        // Not marked as seen: the session knows the size at joining only.
        let size = *self.size.borrow();
        let capabilities = match role {
            Role::ReadWrite => self.capabilities,
            Role::ReadOnly => self.capabilities.watch_only(),
        };
        let mut painter = Painter::new(capabilities, size, view);
        let hint_time = self.shared.limits.hint_time;
        if !hint_time.is_zero() {
            let hint = match role {
                Role::ReadWrite => text::READ_WRITE_HINT,
                Role::ReadOnly => text::READ_ONLY_HINT,
            };
            painter.set_hint(hint, Instant::now() + hint_time);
        }
        ViewerTask {
            id,
            role,
            handle,
            painter,
            parts: Parts { bytes: Bytes::new() },
            size: self.size,
            on_release,
            writer: Arc::new(self.writer),
            state: self.state,
            line: self.line,
            is_silent: false,
            room_interval: ROOM_INTERVAL_MIN,
        }
    }
}

/// Tells the session that its viewer is gone, also when the viewer's task panics.
struct Leave {
    handle: SessionHandle,
    id: ViewerId,
}

impl Leave {
    async fn tell(self) {
        // Without a session there is nobody to be told.
        let _ = self.handle.inbox.send(Message::Leave(self.id)).await;
        std::mem::forget(self);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let (inbox, id) = (self.handle.inbox.clone(), self.id);
        tokio::spawn(async move { inbox.send(Message::Leave(id)).await });
    }
}

/// What of a frame was not handed to SSH yet.
struct Parts {
    bytes: Bytes,
}

impl Parts {
    fn next(&mut self) -> Option<Bytes> {
        let len = self.bytes.len().min(PART_SIZE_MAX);
        (len > 0).then(|| self.bytes.split_to(len))
    }
}

/// Why a viewer's task ends.
enum End {
    Released(Release),
    Gone,
}

/// A viewer that has joined.
struct ViewerTask {
    id: ViewerId,
    role: Role,
    handle: SessionHandle,
    painter: Painter,
    parts: Parts,
    size: watch::Receiver<Size>,
    on_release: oneshot::Receiver<Release>,
    /// Shared with what it is sending, while the rest of the task goes on.
    writer: Arc<Writer>,
    state: Arc<ViewerState>,
    line: Arc<Line>,
    is_silent: bool,
    room_interval: Duration,
}

impl ViewerTask {
    /// Until the viewer leaves or is released. `_guard` counts it.
    async fn run(mut self, _guard: ViewerGuard) {
        tracing::info!(role = ?self.role, "viewer joined");
        self.parts.bytes = self.painter.enter().into();
        let release = match self.show().await {
            End::Gone => {
                tracing::info!("viewer gone");
                return;
            }
            End::Released(release) => release,
        };
        tracing::info!(exit_status = release.exit_status, "viewer released");
        // A frame that was cut off may have left an escape sequence open: CAN ends it.
        let cut: &[u8] = if self.parts.bytes.is_empty() { b"" } else { b"\x18" };
        let farewell = [cut, &self.painter.leave(&release.text)].concat();
        channel::finish(&self.writer, farewell, release.exit_status).await;
    }

    async fn show(&mut self) -> End {
        let mut silence = interval(SILENCE_INTERVAL);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake_at = match self.paint(&mut silence).await {
                Ok(wake_at) => wake_at,
                Err(end) => return end,
            };
            tokio::select! {
                released = &mut self.on_release => return End::released(released),
                changed = self.handle.view.changed() => {
                    // A session without a view is gone, and its release tells why.
                    if changed.is_ok() {
                        let view: Arc<View> = self.handle.view.borrow_and_update().clone();
                        self.painter.handle_view(view);
                    } else {
                        let released = (&mut self.on_release).await;
                        return End::released(released);
                    }
                }
                resized = self.size.changed() => {
                    if let Err(end) = self.on_resized(resized.is_ok()).await {
                        return end;
                    }
                }
                _ = silence.tick() => self.check_silence().await,
                () = wait_until(wake_at) => self.painter.handle_timeout(Instant::now()),
            }
        }
    }

    /// Sends what there is room for. Gives when to try again without anything happening.
    async fn paint(&mut self, silence: &mut Interval) -> Result<Option<Instant>, End> {
        loop {
            let now = Instant::now();
            // Whoever types has no need of it, and it covers what they may type in. What they see
            // of their keys brings us here.
            if self.role == Role::ReadWrite && self.state.has_typed() {
                self.painter.drop_hint();
            }
            let room = self.line.room();
            if self.parts.bytes.is_empty()
                && let Some(bytes) = self.painter.poll_paint(room, now)
            {
                self.parts.bytes = bytes.into();
                self.state.set_offset(self.painter.offset());
            }
            let has_parts = !self.parts.bytes.is_empty();
            if has_parts && room != Room::Full {
                self.room_interval = ROOM_INTERVAL_MIN;
                self.send_part(silence).await?;
                continue;
            }
            let paint_at = self.painter.poll_paint_time();
            let wants_room = has_parts || paint_at.is_some_and(|paint_at| paint_at <= now);
            let retry_at = wants_room.then(|| now + self.room_interval);
            if wants_room {
                self.room_interval = (self.room_interval * 2).min(ROOM_INTERVAL_MAX);
            }
            let paint_at = paint_at.filter(|paint_at| *paint_at > now);
            return Ok([retry_at, paint_at, self.painter.poll_timeout()]
                .into_iter()
                .flatten()
                .min());
        }
    }

    /// Waits for SSH's window, but not longer than the viewer or the session lives. Meanwhile the
    /// viewer is still watched: it may vanish, or take another size, in the middle of a frame.
    async fn send_part(&mut self, silence: &mut Interval) -> Result<(), End> {
        let Some(part) = self.parts.next() else { return Ok(()) };
        let byte_count = part.len();
        let writer = Arc::clone(&self.writer);
        let mut sending = pin!(writer.data_bytes(part));
        loop {
            tokio::select! {
                sent = &mut sending => {
                    return match sent {
                        Ok(()) => {
                            self.line.on_sent(byte_count);
                            Ok(())
                        }
                        Err(_) => Err(End::Gone),
                    };
                }
                released = &mut self.on_release => return Err(End::released(released)),
                resized = self.size.changed() => self.on_resized(resized.is_ok()).await?,
                _ = silence.tick() => self.check_silence().await,
            }
        }
    }

    /// The terminal's size changed; or, without a size, the viewer's connection is gone.
    async fn on_resized(&mut self, is_there: bool) -> Result<(), End> {
        if !is_there {
            return Err(End::Gone);
        }
        let size = *self.size.borrow_and_update();
        self.painter.handle_resize(size);
        self.tell(Message::Resize(self.id, size)).await;
        Ok(())
    }

    async fn check_silence(&mut self) {
        let is_silent = self.line.silence() >= SILENT_AFTER;
        if is_silent != self.is_silent {
            self.is_silent = is_silent;
            tracing::info!(is_silent, "viewer's silence");
            self.tell(Message::Silence(self.id, is_silent)).await;
        }
    }

    async fn tell(&self, message: Message) {
        // A session that is gone tells so through the release.
        let _ = self.handle.inbox.send(message).await;
    }
}

impl End {
    fn released(released: Result<Release, oneshot::error::RecvError>) -> Self {
        // A session that ends drops no viewer without a word; one that panicked does.
        Self::Released(
            released.unwrap_or_else(|_| Release {
                text: text::INTERNAL.into(),
                exit_status: EXIT_LOST,
            }),
        )
    }
}

/// Tells nothing by the time that a refusal takes.
pub(super) async fn delay_refusal() {
    let [byte] = random::<1>();
    sleep(REFUSAL_DELAY_MIN + REFUSAL_DELAY_SPAN * u32::from(byte) / 255).await;
}

/// When the viewer's connection is gone.
pub(super) async fn closed(size: &watch::Receiver<Size>) {
    let mut size = size.clone();
    while size.changed().await.is_ok() {}
}
