//! Random numbers: the operating system's, or in tests, once `seed` was called, a sequence that can be repeated.

use aws_lc_rs::error::Unspecified;

/// Fills the bytes with random ones. The error is that of an operating system that gives none.
pub fn fill(bytes: &mut [u8]) -> Result<(), Unspecified> {
    #[cfg(test)]
    if seeded::fill(bytes) {
        return Ok(());
    }
    aws_lc_rs::rand::fill(bytes)
}

#[cfg(test)]
pub use seeded::seed;

#[cfg(test)]
mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on this thread's random numbers follow from `seed`.
    pub fn seed(seed: u64) {
        STATE.set(Some(seed));
    }

    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else { return false };
        for byte in bytes {
            // SplitMix64 (Steele, Lea and Flood 2014).
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = (mixed ^ (mixed >> 31)) as u8;
        }
        STATE.set(Some(state));
        true
    }
}
