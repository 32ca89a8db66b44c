//! What this process takes of the machine's memory.

/// KiB that are allocated, by libraries in C too. What is resident says less: glibc keeps what was freed, and giving it
/// back costs more time than it saves memory.
#[expect(unsafe_code, reason = "glibc's function has no safe form")]
pub(super) fn allocated_kb() -> u64 {
    // SAFETY: it takes no pointer, and may be called whenever `malloc` may.
    let told = unsafe { nix::libc::mallinfo2() };
    (told.uordblks + told.hblkhd) as u64 / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_told() {
        let before = allocated_kb();
        let large = std::hint::black_box(vec![1_u8; 32 << 20]);
        let small: Vec<_> = (0..64)
            .map(|_| std::hint::black_box(vec![1_u8; 64 << 10]))
            .collect();
        assert!(allocated_kb() >= before + (35 << 10));
        drop((large, small));
        assert!(allocated_kb() < before + (8 << 10));
    }
}
