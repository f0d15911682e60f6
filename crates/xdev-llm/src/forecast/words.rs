//! Numbers of bytes and tokens in words, the same wherever memory is spoken of.
//!
//! Not here: the sentences they stand in (`forecast`).

/// Says a number of bytes in words: `6.9 GB`, `181 MB`, `144 KB`.
///
/// 1 GB is 2^30 bytes, as in `nvidia-smi`, in task managers and on the boxes of graphics cards: a card of 12 GB is 12 GB
/// here. Gigabytes have one decimal unless that is 0; what is less is in whole numbers.
pub fn bytes_in_words(bytes: u64) -> String {
    let rounded = |shift: u32| (bytes >> shift) + (bytes >> (shift - 1) & 1);
    if bytes < 1 << 10 {
        return format!("{bytes} bytes");
    }
    if rounded(10) < 1 << 10 {
        return format!("{} KB", rounded(10));
    }
    if rounded(20) < 1 << 10 {
        return format!("{} MB", rounded(20));
    }
    let tenths = (u128::from(bytes) * 10 + (1 << 29)) >> 30;
    match tenths % 10 {
        0 => format!("{} GB", tenths / 10),
        decimal => format!("{}.{decimal} GB", tenths / 10),
    }
}

/// A number with a comma between its thousands.
pub(super) fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Names in a sentence: `a, b and c`.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_as_users_know_their_hardware() {
        let table = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KB"),
            (147_456, "144 KB"),
            ((1 << 20) - 1, "1 MB"),
            (188_743_680, "180 MB"),
            ((1 << 30) - 1, "1 GB"),
            (12 << 30, "12 GB"),
            ((5 << 30) + (1 << 30) / 5, "5.2 GB"),
            ((12 << 30) - 1, "12 GB"),
            (u64::MAX, "17179869184 GB"),
        ];
        for (bytes, words) in table {
            assert_eq!(bytes_in_words(bytes), words, "{bytes}");
        }
    }

    #[test]
    fn numbers_are_grouped_and_names_are_listed() {
        let numbers = [(0, "0"), (999, "999"), (1000, "1,000"), (32_768, "32,768"), (1_048_576, "1,048,576")];
        for (number, text) in numbers {
            assert_eq!(grouped(number), text);
        }
        let names = ["a", "b", "c"].map(str::to_owned);
        let lists: Vec<_> = (0..=3).map(|count| list(&names[..count])).collect();
        assert_eq!(lists, ["", "a", "a and b", "a, b and c"]);
    }
}
