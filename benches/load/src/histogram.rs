//! Latencies, to within 1.6 %.

/// Buckets per power of two.
const FINE: u64 = 64;
const FINE_BITS: u32 = FINE.trailing_zeros();
const BUCKETS: usize = ((64 - FINE_BITS as usize) + 1) * FINE as usize;

/// How often each duration occurred, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            longest: 0,
        }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, nanoseconds: u64) {
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += 1;
        }
        self.total += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest, exactly.
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// What this share of all does not exceed, rounded up to the end of its bucket.
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && *count > 0 {
                return end(bucket).min(self.longest);
            }
        }
        self.longest
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.longest = 0;
    }
}

/// Below `FINE` each value has a bucket; above, each power of two has `FINE`.
fn bucket(value: u64) -> usize {
    if value < FINE {
        return value as usize;
    }
    let power = value.ilog2() - FINE_BITS;
    (u64::from(power + 1) * FINE + (value >> power) - FINE) as usize
}

/// The largest value in a bucket.
fn end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < FINE {
        return bucket;
    }
    let power = bucket / FINE - 1;
    ((u128::from(bucket % FINE + FINE + 1) << power) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_exact() {
        let mut histogram = Histogram::default();
        (0..FINE).for_each(|value| histogram.record(value));
        assert_eq!(histogram.quantile(0.5), 31);
        assert_eq!(histogram.quantile(1.0), 63);
    }

    #[test]
    fn each_value_lies_in_its_bucket() {
        for value in (0..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + (1 << bit) / 3])
        {
            let found = bucket(value);
            assert!(value <= end(found), "{value}");
            assert!(found == 0 || value > end(found - 1), "{value}");
            assert!(end(found) - value <= value / FINE, "{value}");
        }
        assert_eq!(end(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn one_outlier_of_a_thousand_is_the_maximum_and_not_the_ninety_ninth() {
        let mut histogram = Histogram::default();
        (0..999).for_each(|_| histogram.record(20_000));
        histogram.record(9_000_000);
        assert!(histogram.quantile(0.99) < 20_400);
        assert_eq!(histogram.quantile(1.0), 9_000_000);
        assert_eq!(histogram.longest(), 9_000_000);
    }

    #[test]
    fn nothing_has_quantile_zero() {
        assert_eq!(Histogram::default().quantile(0.99), 0);
    }
}
