//! Random secrets and names.

use std::{fs::File, io, io::Read};

/// `bytes` random bytes from the kernel, as lower-case hex.
pub(crate) fn hex(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0_u8; bytes];
    File::open("/dev/urandom")?.read_exact(&mut buffer)?;
    Ok(hex::encode(buffer))
}
