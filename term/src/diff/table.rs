//! Styles and links that were written out once in a diff, by number. Both ends give the same
//! numbers.

use std::collections::HashMap;
use std::sync::Arc;

use tern_sync::BadDiff;

use super::{TABLE_LEN_MAX, part, style_ref};
use crate::link::{LINK_ID_BYTES_MAX, LINK_URI_BYTES_MAX, Link};
use crate::style::{Attrs, Color, Style};
use crate::wire::{Reader, put_number, put_str};

/// The encoder's side. The maps are only looked up, never walked.
#[derive(Debug, Default)]
pub(super) struct Names {
    styles: HashMap<Style, u32>,
    links: HashMap<Arc<Link>, u32>,
}

impl Names {
    /// Number of a style that has one.
    pub(super) fn find(&self, style: &Style) -> Option<u32> {
        if style.is_plain() {
            return Some(style_ref::PLAIN);
        }
        self.styles.get(style).copied()
    }

    /// Writes a style out and gives it a number.
    pub(super) fn define(&mut self, out: &mut Vec<u8>, style: &Style) {
        let mut mask = 0;
        let mut set = |bit, is_set| mask |= if is_set { bit } else { 0 };
        set(part::FG, style.fg != Color::Default);
        set(part::BG, style.bg != Color::Default);
        set(part::UNDERLINE_COLOR, style.underline_color != Color::Default);
        set(part::ATTRS, !style.attrs.is_empty());
        set(part::LINK, style.link.is_some());
        out.push(mask);
        for color in [style.fg, style.bg, style.underline_color] {
            put_color(out, color);
        }
        if !style.attrs.is_empty() {
            put_number(out, style.attrs.bits().into());
        }
        if let Some(link) = &style.link {
            self.put_link(out, link);
        }
        if self.styles.len() < TABLE_LEN_MAX {
            let number = style_ref::FIRST + self.styles.len() as u32;
            self.styles.insert(style.clone(), number);
        }
    }

    fn put_link(&mut self, out: &mut Vec<u8>, link: &Arc<Link>) {
        if let Some(&number) = self.links.get(link) {
            return put_number(out, number);
        }
        put_number(out, 0);
        put_str(out, link.id());
        put_str(out, link.uri());
        if self.links.len() < TABLE_LEN_MAX {
            let number = 1 + self.links.len() as u32;
            self.links.insert(Arc::clone(link), number);
        }
    }
}

/// The decoder's side.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    styles: Vec<Style>,
    links: Vec<Arc<Link>>,
}

impl Definitions {
    /// The style of this reference; reads it if it is new. `left` is that of the cell to the left.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        number: u32,
        left: &Style,
    ) -> Result<Style, BadDiff> {
        match number {
            style_ref::PLAIN => Ok(Style::PLAIN),
            style_ref::LEFT => Ok(left.clone()),
            style_ref::NEW => self.read_new(reader),
            _ => {
                let index = (number - style_ref::FIRST) as usize;
                self.styles.get(index).cloned().ok_or(BadDiff("style without definition"))
            }
        }
    }

    fn read_new(&mut self, reader: &mut Reader<'_>) -> Result<Style, BadDiff> {
        let mask = reader.byte()?;
        if mask & !part::ALL != 0 {
            return Err(BadDiff("unknown part of a style"));
        }
        let has = |bit| mask & bit != 0;
        let mut style = Style::PLAIN;
        if has(part::FG) {
            style.fg = read_color(reader)?;
        }
        if has(part::BG) {
            style.bg = read_color(reader)?;
        }
        if has(part::UNDERLINE_COLOR) {
            style.underline_color = read_color(reader)?;
        }
        if has(part::ATTRS) {
            let bits = reader.number_up_to(u16::MAX.into())? as u16;
            style.attrs = Attrs::from_bits(bits).ok_or(BadDiff("unknown attribute"))?;
        }
        if has(part::LINK) {
            style.link = Some(self.read_link(reader)?);
        }
        if self.styles.len() < TABLE_LEN_MAX {
            self.styles.push(style.clone());
        }
        Ok(style)
    }

    fn read_link(&mut self, reader: &mut Reader<'_>) -> Result<Arc<Link>, BadDiff> {
        let number = reader.number()? as usize;
        if let Some(index) = number.checked_sub(1) {
            return self.links.get(index).cloned().ok_or(BadDiff("link without definition"));
        }
        let id = reader.str(LINK_ID_BYTES_MAX)?;
        let uri = reader.str(LINK_URI_BYTES_MAX)?;
        let link = Arc::new(Link::new(id, uri).ok_or(BadDiff("bad link"))?);
        if self.links.len() < TABLE_LEN_MAX {
            self.links.push(Arc::clone(&link));
        }
        Ok(link)
    }
}

/// First byte of a colour: 0-15 ANSI, or one of these.
const COLOR_INDEXED: u8 = 16;
const COLOR_RGB: u8 = 17;

/// Writes a colour; nothing for the default, whose absence the mask tells.
fn put_color(out: &mut Vec<u8>, color: Color) {
    match color {
        Color::Default => {}
        Color::Ansi(n) => out.push(n & 0xf),
        Color::Indexed(n) => out.extend([COLOR_INDEXED, n]),
        Color::Rgb(r, g, b) => out.extend([COLOR_RGB, r, g, b]),
    }
}

fn read_color(reader: &mut Reader<'_>) -> Result<Color, BadDiff> {
    match reader.byte()? {
        n @ 0..16 => Ok(Color::Ansi(n)),
        COLOR_INDEXED => Ok(Color::Indexed(reader.byte()?)),
        COLOR_RGB => Ok(Color::Rgb(reader.byte()?, reader.byte()?, reader.byte()?)),
        _ => Err(BadDiff("unknown colour")),
    }
}
