//! Random numbers from a seed: the same on every platform and in every version, for ever.
//!
//! A saved workflow replays only if its seed means the same tomorrow, so the generator is our own few lines
//! (`SplitMix64`) and its first numbers are pinned by tests. Not here: anything that must be unpredictable.

/// `Random` is a stream of numbers that its seed decides.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number under `limit`; 0 where `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The high half of a product is always under the limit. The bias is under one in 2^64 / limit.
        ((u128::from(self.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// A number under `limit`, which may be larger than 64 bits hold; 0 where `limit` is 0.
    pub fn below_wide(&mut self, limit: u128) -> u128 {
        if let Ok(limit) = u64::try_from(limit) {
            return u128::from(self.below(limit));
        }
        // As many bits as the limit has, until they are under it: two tries are enough on the average.
        let mask = u128::MAX >> (limit - 1).leading_zeros();
        loop {
            let drawn = ((u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())) & mask;
            if drawn < limit {
                return drawn;
            }
        }
    }

    /// An index under `length`; 0 where `length` is 0.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number from 0 up to, not including, 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An index, each as likely as its weight is large; all alike where no weight is over 0.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let usable = |weight: f64| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        let total: f64 = weights.iter().map(|weight| usable(*weight)).sum();
        if total <= 0.0 || !total.is_finite() {
            return self.index(weights.len());
        }
        let mut left = self.fraction() * total;
        let mut last = 0;
        for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| usable(**weight) > 0.0) {
            last = index;
            if left < *weight {
                break;
            }
            left -= weight;
        }
        last
    }

    /// Brings the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_never_change() {
        let mut random = Random::new(0);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        // The published first values of SplitMix64.
        assert_eq!(first, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
        let mut random = Random::new(42);
        let rolled: Vec<u64> = (0..8).map(|_| random.below(6)).collect();
        assert_eq!(rolled, [4, 0, 1, 2, 0, 5, 1, 4]);
        assert_eq!(Random::new(3).below(0), 0);
        assert_eq!(Random::new(3).below_wide(6), u128::from(Random::new(3).below(6)));
        let wide = (1_u128 << 65) + 1;
        let drawn: Vec<u128> = (0..200).map(|_| random.below_wide(wide)).collect();
        assert!(drawn.iter().all(|number| *number < wide));
        assert!(drawn.iter().any(|number| *number > u128::from(u64::MAX)));
    }

    #[test]
    fn a_shuffle_never_changes() {
        let mut items: Vec<u8> = (0..8).collect();
        Random::new(7).shuffle(&mut items);
        assert_eq!(items, [7, 4, 6, 1, 2, 5, 0, 3]);
    }

    #[test]
    fn what_weighs_more_comes_more_often() {
        let mut random = Random::new(1);
        let mut seen = [0; 4];
        for _ in 0..10_000 {
            seen[random.weighted(&[1.0, 0.0, 3.0, f64::NAN])] += 1;
        }
        assert_eq!((seen[1], seen[3]), (0, 0));
        assert!((2200..2800).contains(&seen[0]), "{seen:?}");
        let mut even = [0; 2];
        for _ in 0..1000 {
            even[random.weighted(&[0.0, -1.0])] += 1;
        }
        assert!(even[0] > 400 && even[1] > 400, "{even:?}");
    }
}
