//! Small charts of block characters.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One character for each value, from 0 to the largest; a space where there is none.
pub(super) fn sparkline(values: &[Option<f64>]) -> String {
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let height = |value: f64| if most > 0.0 { (value / most * 7.0).round() as usize } else { 0 };
    let block = |value: f64| BLOCKS[height(value).min(7)];
    values.iter().map(|value| value.map_or(' ', block)).collect()
}

/// At most `columns` values, each made of as many neighbours.
pub(super) fn resampled<T>(values: &[T], columns: usize, one: impl Fn(&[T]) -> Option<f64>) -> Vec<Option<f64>> {
    values.chunks(values.len().div_ceil(columns.max(1)).max(1)).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_goes_from_zero_to_the_largest_value() {
        assert_eq!(sparkline(&[Some(0.0), None, Some(50.0), Some(100.0)]), "▁ ▅█");
        assert_eq!(sparkline(&[Some(0.0)]), "▁");
        assert_eq!(resampled(&[1, 2, 3], 2, |part| Some(f64::from(part.iter().sum::<i32>()))), [Some(3.0), Some(3.0)]);
    }
}
