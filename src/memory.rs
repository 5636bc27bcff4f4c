//! Gives memory that nobody uses back to the kernel.
//!
//! glibc keeps what was freed for the next allocations: after a burst the process would hold on to all that it ever had,
//! for ever. Asking for it back is one call, for which no crate has a safe interface.

#![allow(unsafe_code, reason = "malloc_trim(3) has no safe interface")]

/// Returns free pages of every arena, which may take some milliseconds. Where the C library is another one than glibc, its
/// own ways are relied on.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called by any thread at any time; it touches free memory alone.
    unsafe {
        libc::malloc_trim(0);
    }
}
