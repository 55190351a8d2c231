//! Mouse reports: from coordinates of a viewer's terminal to those of the shared screen.

use tern_term::Size;

/// Highest coordinate that an X10 report can say (one byte, 32 added).
const X10_COORDINATE_MAX: u32 = 255 - 32;

/// A key as the shared screen's program should get it: `None` if it's a mouse report from outside
/// of the shared screen. `offset` is left and top of the part that the viewer sees.
pub fn map(key: &[u8], offset: (u16, u16), screen: Size) -> Option<Vec<u8>> {
    match key {
        [0x1b, b'[', b'<', body @ .., action @ (b'M' | b'm')] => {
            map_sgr(body, *action, offset, screen)
        }
        [0x1b, b'[', b'M', button, col, row] => map_x10([*button, *col, *row], offset, screen),
        _ => Some(key.to_vec()),
    }
}

/// `ESC [ < button ; col ; row M` (pressed, moved) or `m` (released); the first cell is 1;1.
fn map_sgr(body: &[u8], action: u8, offset: (u16, u16), screen: Size) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut numbers = text.split(';').map(|number| number.parse::<u16>().ok());
    let (button, col, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    let is_release = action == b'm';
    let col = shift(col.into(), offset.0, screen.cols, is_release)?;
    let row = shift(row.into(), offset.1, screen.rows, is_release)?;
    Some(format!("\x1b[<{button};{col};{row}{}", char::from(action)).into_bytes())
}

fn map_x10(report: [u8; 3], offset: (u16, u16), screen: Size) -> Option<Vec<u8>> {
    let [button, col, row] = report;
    // Both low bits: a release, of whichever button.
    let is_release = button & 0b11 == 0b11;
    let coordinate = |value: u8, offset, len| {
        let value = u32::from(value).checked_sub(32)?;
        let shifted = shift(value, offset, len, is_release)?;
        (shifted <= X10_COORDINATE_MAX).then(|| (shifted + 32) as u8)
    };
    let col = coordinate(col, offset.0, screen.cols)?;
    let row = coordinate(row, offset.1, screen.rows)?;
    Some(vec![0x1b, b'[', b'M', button, col, row])
}

/// A release outside is moved to the border, for its press may have been inside.
fn shift(value: u32, offset: u16, len: u16, is_release: bool) -> Option<u32> {
    let shifted = value + u32::from(offset);
    match shifted {
        0 => None,
        _ if shifted <= u32::from(len) => Some(shifted),
        _ => is_release.then_some(u32::from(len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCREEN: Size = Size { cols: 80, rows: 24 };

    fn mapped(key: &[u8], offset: (u16, u16)) -> Option<String> {
        map(key, offset, SCREEN).map(|key| String::from_utf8_lossy(&key).into_owned())
    }

    #[test]
    fn click_in_a_cropped_view_hits_the_cell_under_it() {
        let click = mapped(b"\x1b[<0;3;4M", (20, 10));
        assert_eq!(click.as_deref(), Some("\x1b[<0;23;14M"));
        let click = map(b"\x1b[M \x23\x24", (20, 10), SCREEN);
        assert_eq!(click.as_deref(), Some(b"\x1b[M \x37\x2e".as_slice()));
    }

    #[test]
    fn click_beside_the_shared_screen_is_dropped_and_a_release_moved_to_its_border() {
        assert_eq!(mapped(b"\x1b[<0;81;4M", (0, 0)), None);
        assert_eq!(mapped(b"\x1b[<0;4;25M", (0, 0)), None);
        assert_eq!(mapped(b"\x1b[<0;90;30m", (0, 0)).as_deref(), Some("\x1b[<0;80;24m"));
        assert_eq!(map(b"\x1b[M \x80\x24", (0, 0), SCREEN), None);
    }

    #[test]
    fn other_keys_stay_as_they_are() {
        for key in [b"a".as_slice(), b"\x1b[A", b"\x1b[1;5M", b"\x1b[m"] {
            assert_eq!(map(key, (5, 5), SCREEN).as_deref(), Some(key));
        }
    }

    proptest! {
        #[test]
        fn mapped_coordinates_are_always_on_the_screen(
            key in "\x1b\\[<[0-9]{1,6};[0-9]{1,6};[0-9]{1,6}[mM]",
            offset in any::<(u16, u16)>(),
        ) {
            if let Some(mapped) = mapped(key.as_bytes(), offset) {
                let numbers: Vec<u32> = mapped[3..mapped.len() - 1]
                    .split(';')
                    .map(|number| number.parse().expect("a number"))
                    .collect();
                prop_assert!((1..=80).contains(&numbers[1]) && (1..=24).contains(&numbers[2]));
            }
        }
    }
}
