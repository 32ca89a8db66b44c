//! What this process takes of the machine's memory.

use std::fs;

/// KiB that are resident; 0 where the system does not say.
pub(super) fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next());
    kb.and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

/// Gives back what libraries in C have freed. glibc by itself does so from the end of its heap alone, where some small
/// thing always stays.
#[expect(unsafe_code, reason = "glibc's function has no safe form")]
pub(super) fn release() {
    // SAFETY: it takes no pointer, and may be called whenever `malloc` may.
    unsafe { nix::libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_resident() {
        let before = resident_kb();
        let used = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(before > 0 && resident_kb() >= before + (16 << 10));
        drop(used);
        release();
    }
}
