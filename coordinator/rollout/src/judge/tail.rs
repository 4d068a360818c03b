//! The mathematics: how likely chance alone would do it.

use statrs::function::{beta::beta_reg, erf::erfc};

/// Below so many values without ties in one group the distribution is counted out; above, the normal one is close.
const EXACT: usize = 8;

/// The chance of `errors` or more in so many independent requests that fail at `rate`. Fractions are allowed.
pub(super) fn binomial_tail(errors: f64, requests: f64, rate: f64) -> f64 {
    if errors <= 0.0 || rate >= 1.0 {
        return 1.0;
    }
    if rate <= 0.0 {
        return 0.0;
    }
    beta_reg(errors, requests - errors.min(requests) + 1.0, rate)
}

/// The rank test of Mann and Whitney: are the values of one group greater?
#[derive(Debug)]
pub(super) struct MannWhitney {
    /// Pairs of which the first value is greater; of equal ones a half.
    u: f64,
    first: usize,
    second: usize,
    /// The sum of t³ - t over groups of t equal values.
    ties: f64,
}

impl MannWhitney {
    /// Nothing without values in both groups.
    pub(super) fn of(first: &[f64], second: &[f64]) -> Option<Self> {
        if first.is_empty() || second.is_empty() {
            return None;
        }
        let mut all: Vec<(f64, bool)> =
            first.iter().map(|v| (*v, true)).chain(second.iter().map(|v| (*v, false))).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0);
        for equal in all.chunk_by(|a, b| a.0 == b.0) {
            let count = equal.len() as f64;
            let rank = before as f64 + f64::midpoint(1.0, count);
            ranks += rank * equal.iter().filter(|(_, first)| *first).count() as f64;
            ties += count.powi(3) - count;
            before += equal.len();
        }
        let n = first.len() as f64;
        let u = ranks - n * (n + 1.0) / 2.0;
        Some(Self { u, first: first.len(), second: second.len(), ties })
    }

    /// From -1, where every value of the first group is smaller, to 1, where every one is greater.
    pub(super) fn cliffs_delta(&self) -> f64 {
        2.0 * self.u / (self.first * self.second) as f64 - 1.0
    }

    /// The chance of so much greater a first group where the groups do not differ.
    pub(super) fn p_greater(&self) -> f64 {
        if self.ties == 0.0 && self.first.min(self.second) <= EXACT {
            self.exact()
        } else {
            self.normal()
        }
    }

    /// With corrections for ties and continuity.
    fn normal(&self) -> f64 {
        let (first, second) = (self.first as f64, self.second as f64);
        let n = first + second;
        let variance = first * second / 12.0 * (n + 1.0 - self.ties / (n * (n - 1.0)));
        if variance <= 0.0 {
            // All are equal.
            return 1.0;
        }
        let z = (self.u - first * second / 2.0 - 0.5) / variance.sqrt();
        0.5 * erfc(z / std::f64::consts::SQRT_2)
    }

    /// Of all orders of the values, those with this `u` or more. How many have which is the Gaussian binomial
    /// coefficient, multiplied out factor by factor.
    fn exact(&self) -> f64 {
        let (few, many) = (self.first.min(self.second), self.first.max(self.second));
        let mut counts = vec![0.0; few * many + 1];
        counts[0] = 1.0;
        for i in 1..=few {
            for u in (many + i..counts.len()).rev() {
                counts[u] -= counts[u - many - i];
            }
            for u in i..counts.len() {
                counts[u] += counts[u - i];
            }
        }
        let from = self.u as usize;
        counts[from..].iter().sum::<f64>() / counts.iter().sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(first: &[f64], second: &[f64]) -> f64 {
        MannWhitney::of(first, second).unwrap().p_greater()
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    /// The expected values are those of scipy 1.17, `mannwhitneyu(x, y, alternative='greater')`.
    #[test]
    fn it_agrees_with_scipy() {
        let (a, b) = ([19.0, 22.0, 16.0, 29.0, 24.0], [20.0, 11.0, 17.0, 12.0]);
        near(p(&a, &b), 0.055_555_555_555_555_55);
        near(p(&b, &a), 0.968_253_968_253_968_3);
        near(MannWhitney::of(&a, &b).unwrap().normal(), 0.055_673_443_266_570_206);
        let few = [3.1, 2.2, 5.9, 4.4, 9.7, 8.3, 7.5, 6.6];
        let many = [0.5, 2.1, 5.8, 1.1, 3.3, 4.0, 1.9, 2.8, 6.1, 0.2, 7.0, 3.7];
        near(p(&few, &many), 0.012_622_052_869_730_89);
        let high: Vec<f64> = (10..19).map(f64::from).collect();
        let low: Vec<f64> = (1..10).map(f64::from).collect();
        near(p(&high, &low), 0.000_206_147_401_030_845_63);
        let x = [0.0, 0.05, 0.04, 0.06, 0.05, 0.03, 0.07, 0.05, 0.04, 0.06];
        let y = [0.0, 0.0, 0.0, 0.01, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0];
        near(p(&x, &y), 0.000_274_054_218_714_963_87);
        near(p(&y, &x), 0.999_796_514_945_043_8);
        near(p(&[0.0; 5], &[0.0; 6]), 1.0);
    }

    /// scipy's `binomtest(k, n, p, alternative='greater')`.
    #[test]
    fn the_tail_of_the_binomial_agrees_with_scipy() {
        near(binomial_tail(1.0, 1.0, 0.01), 0.01);
        near(binomial_tail(2.0, 2.0, 0.01), 0.0001);
        near(binomial_tail(7.0, 500.0, 0.01), 0.237_078_663_950_756);
        near(binomial_tail(12.0, 1000.0, 0.01), 0.302_649_913_856_895_27);
        near(binomial_tail(12.5, 200.0, 0.01), 4.138_846_647_218_279_5e-7);
        near(binomial_tail(0.0, 10.0, 0.01), 1.0);
        assert!(binomial_tail(63.0, 1240.0, 0.01) < 1e-24);
    }

    #[test]
    fn the_effect_is_the_share_of_pairs() {
        let delta = |a: &[f64], b: &[f64]| MannWhitney::of(a, b).unwrap().cliffs_delta();
        near(delta(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
        near(delta(&[1.0, 2.0], &[3.0, 4.0]), -1.0);
        near(delta(&[1.0, 3.0], &[2.0, 2.0]), 0.0);
        near(delta(&[2.0, 2.0], &[2.0, 1.0]), 0.5);
    }
}
