//! Who may join what is shared here: the host's side of a relay's doors.

mod fetch;
mod keys;

use crate::core::decisions::KeptOut;
use crate::core::wishes::Wishes;
use crate::shell::board::Board;
use keys::Keys;
use std::time::Duration;
use tern_sync::session::{Access as Doors, Settings};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often lists of keys are looked at: a change counts before somebody has told the person whom
/// it lets in. Where nothing has changed it costs a `stat`.
const KEYS_INTERVAL: Duration = Duration::from_secs(2);

/// What the relay is told, and what keeps it up to date.
#[derive(Debug)]
pub struct Access {
    settings: watch::Sender<Settings>,
    /// As long as it is here, somebody wants them.
    wanted: watch::Receiver<Settings>,
    kept_out: KeptOut,
    keys: Option<Keys>,
    keeping: Option<JoinHandle<()>>,
    notices: Vec<String>,
}

impl Access {
    /// Reads what was wished. An error means that nothing may be shared: the wish can't be kept.
    pub async fn start(wishes: &Wishes) -> anyhow::Result<Self> {
        let mut settings = Settings { asks: wishes.is_asking(), ..Settings::default() };
        let (mut keys, mut notices) = (Keys::of(wishes)?, Vec::new());
        settings.access = match &mut keys {
            None => Doors::Everybody,
            Some(keys) => {
                notices.extend(keys.announcements());
                let read = keys.read()?;
                notices.extend(read.notices);
                read.access
            }
        };
        let (settings, wanted) = watch::channel(settings);
        let kept_out = KeptOut::default();
        Ok(Self { settings, wanted, kept_out, keys, keeping: None, notices })
    }

    /// What the relay is to be told.
    pub fn settings(&self) -> watch::Receiver<Settings> {
        self.wanted.clone()
    }

    /// Says what the person should know, and keeps the lists up to date from then on, as long as
    /// this is here.
    pub fn keep(&mut self, board: &Board) {
        for notice in std::mem::take(&mut self.notices) {
            board.log(&notice);
        }
        let is_asking = self.settings.borrow().asks;
        board.update(|status| status.is_asking = is_asking);
        if let Some(keys) = self.keys.take() {
            let keeping = keep_keys(keys, self.settings.clone(), board.clone());
            self.keeping = Some(tokio::spawn(keeping));
        }
    }

    /// Who may not join any more, whatever else is wished.
    pub fn refuse(&mut self, kept_out: KeptOut) {
        self.settings.send_modify(|settings| settings.refused = kept_out.under(&settings.access));
        self.kept_out = kept_out;
    }

    /// Something else is wished from now on. What can't be kept lets nobody new in, until it can.
    pub async fn change(&mut self, wishes: &Wishes, board: &Board) {
        self.stop_keeping().await;
        let (access, keys) = match Keys::of(wishes) {
            Ok(None) => (Doors::Everybody, None),
            Ok(Some(mut keys)) => {
                let read = match keys.read() {
                    Ok(read) => {
                        self.notices.extend(keys.announcements());
                        read
                    }
                    Err(error) => keys::Reading::nobody(&error),
                };
                // A relay keeps to what it was told before: until there are answers, the lists here
                // count.
                let access = match take(read, board) {
                    Doors::Unsaid => keys.known().unwrap_or(Doors::Keys(Vec::new())),
                    access => access,
                };
                (access, Some(keys))
            }
            Err(error) => (take(keys::Reading::nobody(&error), board), None),
        };
        self.keys = keys;
        self.settings.send_modify(|now| {
            now.refused = self.kept_out.under(&access);
            (now.access, now.asks) = (access, wishes.is_asking());
        });
        self.keep(board);
    }

    /// What kept the lists up to date may be about to say what they let in: it is waited for, so that
    /// it says nothing any more. (It is told to stop, and asks for nothing then that could take time.)
    async fn stop_keeping(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            keeping.abort();
            // It was aborted, or its panic was told.
            let _ = keeping.await;
        }
    }
}

async fn keep_keys(mut keys: Keys, settings: watch::Sender<Settings>, board: Board) {
    let mut ticks = interval(KEYS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let read = tokio::select! {
            _ = ticks.tick() => keys.read_again(),
            read = keys.fetched() => Some(read),
            () = settings.closed() => return,
        };
        let Some(read) = read else { continue };
        let access = take(read, &board);
        // The relay keeps to what it was told before.
        if access == Doors::Unsaid {
            continue;
        }
        settings.send_if_modified(|settings| {
            let is_new = settings.access != access;
            settings.access = access;
            is_new
        });
    }
}

/// Tells what there is to tell of a list, and gives what the relay is to know. That nobody new gets in
/// is for the person's eyes.
fn take(read: keys::Reading, board: &Board) -> Doors {
    let lets_nobody_in = matches!(&read.access, Doors::Keys(lines) if lines.is_empty());
    for notice in &read.notices {
        if lets_nobody_in {
            board.alert(notice);
        } else {
            board.log(notice);
        }
    }
    read.access
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::sync::mpsc::sync_channel;
    use std::task::{Context, Waker};

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_was_wished_before_says_nothing_after_what_is_wished_now() {
        let board = Board::new("shared".into(), None, None, "relay".into());
        let mut access = Access::start(&Wishes::default()).await.expect("everybody may join");
        let ((enter, entered), (release, released)) = (sync_channel(1), sync_channel(1));
        let settings = access.settings.clone();
        access.keeping = Some(tokio::spawn(async move {
            enter.send(()).expect("the test waits");
            released.recv().expect("the test releases it");
            settings.send_modify(|settings| settings.access = Doors::Keys(Vec::new()));
        }));
        entered.recv().expect("it runs");
        let wishes = Wishes::default();
        let wanted = access.settings();
        let mut changing = std::pin::pin!(access.change(&wishes, &board));
        let is_early = changing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        release.send(()).expect("it waits");
        assert!(!is_early, "what is about to speak is waited for");
        changing.await;
        assert_eq!(wanted.borrow().access, Doors::Everybody);
    }
}
