//! A TUN device: packets that a namespace sends are read from it, what is written to it arrives.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

/// `TUNSETIFF`, `_IOW('T', 202, int)` in `linux/if_tun.h`.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const IFF_TUN: u16 = 0x0001;
/// No four bytes of packet information before each packet.
const IFF_NO_PI: u16 = 0x1000;

/// `struct ifreq`: a name, then a union of which the flags are wanted.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: u16,
    rest: [u8; 22],
}

nix::ioctl_write_ptr_bad!(
    /// Makes the file a network device in the caller's network namespace.
    tun_set_interface,
    TUNSETIFF,
    InterfaceRequest
);

/// A TUN device that is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Tun(File);

impl Tun {
    /// Makes a device called `name` in the calling thread's network namespace.
    pub(crate) fn create(name: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open("/dev/net/tun")?;
        let mut request = InterfaceRequest {
            name: [0; libc::IFNAMSIZ],
            flags: IFF_TUN | IFF_NO_PI,
            rest: [0; 22],
        };
        if name.len() >= request.name.len() {
            return Err(io::Error::other("an interface's name has at most 15 bytes"));
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: the kernel reads (and writes) `sizeof(struct ifreq)` = 40 bytes, which `request`
        // has, and the descriptor is open.
        #[allow(unsafe_code)]
        unsafe {
            tun_set_interface(file.as_raw_fd(), &raw const request)?;
        }
        Ok(Self(file))
    }

    /// The next packet that the namespace sends; `None` where there is none now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.read(buffer) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a packet arrive in the namespace.
    pub(crate) fn write(&mut self, packet: &[u8]) -> io::Result<()> {
        self.0.write(packet).map(drop)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const _: () = assert!(size_of::<InterfaceRequest>() == 40);
