//! A conversation like irssi's: messages above, a status line, and one line to type in, which
//! scrolls sideways when it is full. Others say something now and then while somebody types.

use super::entry::Entry;
use super::programs::{Interactive, SIZE};

/// Keys between two messages of others: by keys, not by time, so that every run is the same.
const MESSAGE_KEYS: u32 = 37;
/// What is in front of what is typed.
const PROMPT: &str = "[#tern] ";
/// What others say, in turn.
const MESSAGES: [&str; 4] =
    ["<ann> morning", "<ben> has anybody seen the build?", "<ann> it is green again", "<cy> :)"];

/// The program.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    entry: Entry,
    keys: u32,
    said: usize,
}

impl Chat {
    /// A message scrolls in above, in a scroll region, as irssi does it.
    fn say(&mut self, text: &str) -> String {
        let (last, status) = (SIZE.1 - 2, SIZE.1 - 1);
        let minute = self.said % 60;
        self.said += 1;
        format!("\x1b[1;{last}r\x1b[{last};1H\r\n10:{minute:02} {text}\x1b[1;{}r", status + 1)
    }

    /// The input line, and the cursor in it.
    fn draw_entry(&self) -> String {
        let room = usize::from(SIZE.0) - PROMPT.len() - 1;
        let text: Vec<char> = self.entry.text().chars().collect();
        // Half a line at a time, as irssi does.
        let mut from = 0;
        while self.entry.cursor() - from > room {
            from += room / 2;
        }
        let shown: String = text[from..].iter().take(room).collect();
        let col = PROMPT.len() + self.entry.cursor() - from + 1;
        format!("\x1b[{row};1H{PROMPT}{shown}\x1b[K\x1b[{row};{col}H", row = SIZE.1)
    }
}

impl Interactive for Chat {
    fn begin(&mut self) -> String {
        let status = format!(" [10:00] [tester(+i)] [1:net/#tern] {:40}", "");
        format!("\x1b[{};1H\x1b[7m{status}\x1b[0m{}", SIZE.1 - 1, self.draw_entry())
    }

    fn handle_key(&mut self, key: &[u8]) -> String {
        self.keys += 1;
        let mut output = String::new();
        if key == b"\r" {
            let text = std::mem::take(&mut self.entry).text();
            output += &self.say(&format!("<tester> {text}"));
        } else {
            self.entry.handle_key(key);
        }
        if self.keys.is_multiple_of(MESSAGE_KEYS) {
            output += &self.say(MESSAGES[(self.keys / MESSAGE_KEYS) as usize % MESSAGES.len()]);
        }
        output + &self.draw_entry()
    }
}
