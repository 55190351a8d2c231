//! Bytes of a diff: variable-length numbers and strings, every length checked before it is used.

use tern_sync::BadDiff;

/// Appends a number: 7 bits a byte, lowest first (LEB128).
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number, small ones in few bytes (zigzag).
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i32) {
    put_number(out, (number.wrapping_shl(1) ^ (number >> 31)) as u32);
}

/// Appends a string and its length.
pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u32);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a character (UTF-8).
pub(crate) fn put_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what the functions above write.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn byte(&mut self) -> Result<u8, BadDiff> {
        let (&byte, rest) = self.rest.split_first().ok_or(BadDiff("ends too early"))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u32, BadDiff> {
        let mut number = 0;
        for shift in (0..32).step_by(7) {
            let byte = self.byte()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadDiff("number too large"))
    }

    pub(crate) fn signed(&mut self) -> Result<i32, BadDiff> {
        let number = self.number()?;
        Ok((number >> 1) as i32 ^ -((number & 1) as i32))
    }

    /// A number that must be at most `max`.
    pub(crate) fn number_up_to(&mut self, max: usize) -> Result<usize, BadDiff> {
        let number = self.number()? as usize;
        if number <= max { Ok(number) } else { Err(BadDiff("number out of range")) }
    }

    /// A string of at most `bytes_max`, borrowed.
    pub(crate) fn str(&mut self, bytes_max: usize) -> Result<&'a str, BadDiff> {
        let len = self.number_up_to(bytes_max)?;
        self.text(len)
    }

    /// A string of exactly `len` bytes, borrowed.
    pub(crate) fn text(&mut self, len: usize) -> Result<&'a str, BadDiff> {
        let (text, rest) = self.rest.split_at_checked(len).ok_or(BadDiff("ends too early"))?;
        self.rest = rest;
        str::from_utf8(text).map_err(|_| BadDiff("not UTF-8"))
    }

    /// A character that isn't a control code.
    pub(crate) fn char(&mut self) -> Result<char, BadDiff> {
        let first = *self.rest.first().ok_or(BadDiff("ends too early"))?;
        let len = match first {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
        };
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(BadDiff("ends too early"))?;
        self.rest = rest;
        let text = str::from_utf8(bytes).map_err(|_| BadDiff("not UTF-8"))?;
        let c = text.chars().next().ok_or(BadDiff("not UTF-8"))?;
        if c.is_control() { Err(BadDiff("control character")) } else { Ok(c) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive_the_wire(n: u32, signed: i32, c: char, text: String) {
            let mut out = Vec::new();
            put_number(&mut out, n);
            put_signed(&mut out, signed);
            put_char(&mut out, c);
            put_str(&mut out, &text);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Ok(n));
            prop_assert_eq!(reader.signed(), Ok(signed));
            match reader.char() {
                Ok(read) => prop_assert_eq!(read, c),
                Err(_) => prop_assert!(c.is_control()),
            }
            prop_assert_eq!(reader.str(text.len()), Ok(text.as_str()));
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn numbers_that_overflow_are_refused() {
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).number().is_err());
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).number(), Ok(u32::MAX));
    }
}
