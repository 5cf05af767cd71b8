//! The currencies of amounts and their spellings. The dashboard has the same table.

/// ISO 4217 codes, sorted.
const CODES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF",
    "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC",
    "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS",
    "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD",
    "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
    "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD",
    "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD",
    "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SYP", "SZL",
    "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VES", "VND",
    "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
];

const DOLLARS: &[&str] = &[
    "ARS", "AUD", "BBD", "BMD", "BND", "BSD", "BZD", "CAD", "CLP", "COP", "CUP", "DOP", "FJD", "GYD", "HKD", "JMD",
    "KYD", "LRD", "MXN", "NAD", "NZD", "SBD", "SGD", "SRD", "TTD", "TWD", "USD", "UYU", "XCD",
];
const RUPEES: &[&str] = &["INR", "LKR", "MUR", "NPR", "PKR", "SCR"];

/// Symbols and abbreviations in lower case, without a final point, with the codes that each may mean.
const SPELLINGS: &[(&str, &[&str])] = &[
    ("$", DOLLARS),
    ("us$", &["USD"]),
    ("a$", &["AUD"]),
    ("au$", &["AUD"]),
    ("c$", &["CAD", "NIO"]),
    ("ca$", &["CAD"]),
    ("s$", &["SGD"]),
    ("sg$", &["SGD"]),
    ("hk$", &["HKD"]),
    ("nz$", &["NZD"]),
    ("nt$", &["TWD"]),
    ("mx$", &["MXN"]),
    ("r$", &["BRL"]),
    ("₹", &["INR"]),
    ("₨", RUPEES),
    ("rs", RUPEES),
    ("€", &["EUR"]),
    ("uk£", &["GBP"]),
    ("£", &["EGP", "FKP", "GBP", "GIP", "SHP", "SSP", "SYP"]),
    ("¥", &["CNY", "JPY"]),
    ("￥", &["CNY", "JPY"]),
    ("cn¥", &["CNY"]),
    ("jp¥", &["JPY"]),
    ("rmb", &["CNY"]),
    ("元", &["CNY"]),
    ("円", &["JPY"]),
    ("fr", &["CHF"]),
    ("sfr", &["CHF"]),
    ("kr", &["DKK", "ISK", "NOK", "SEK"]),
    ("zł", &["PLN"]),
    ("kč", &["CZK"]),
    ("ft", &["HUF"]),
    ("lei", &["RON"]),
    ("₽", &["RUB"]),
    ("₴", &["UAH"]),
    ("₺", &["TRY"]),
    ("tl", &["TRY"]),
    ("₪", &["ILS"]),
    ("dh", &["AED", "MAD"]),
    ("dhs", &["AED", "MAD"]),
    ("د.إ", &["AED"]),
    ("ر.س", &["SAR"]),
    ("﷼", &["IRR", "OMR", "QAR", "SAR", "YER"]),
    ("৳", &["BDT"]),
    ("₩", &["KPW", "KRW"]),
    ("₫", &["VND"]),
    ("₱", &["PHP"]),
    ("฿", &["THB"]),
    ("rm", &["MYR"]),
    ("rp", &["IDR"]),
    ("r", &["ZAR"]),
    ("ksh", &["KES"]),
    ("₦", &["NGN"]),
    ("₵", &["GHS"]),
    ("gh₵", &["GHS"]),
    ("₸", &["KZT"]),
    ("₾", &["GEL"]),
    ("₼", &["AZN"]),
    ("₡", &["CRC"]),
    ("₲", &["PYG"]),
    ("₮", &["MNT"]),
    ("₭", &["LAK"]),
    ("៛", &["KHR"]),
    ("؋", &["AFN"]),
    ("֏", &["AMD"]),
];

/// The codes that a word may mean; empty if it is not a currency.
pub(super) fn codes_of(word: &str) -> &'static [&'static str] {
    // Longest code or spelling.
    if word.len() > 8 {
        return &[];
    }
    let code = word.to_uppercase();
    if let Ok(at) = CODES.binary_search(&&*code) {
        return &CODES[at..=at];
    }
    let spelling = word.to_lowercase();
    SPELLINGS.iter().find(|(known, _)| *known == spelling).map_or(&[], |(_, codes)| codes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Fixture {
        codes: Vec<String>,
        spellings: BTreeMap<String, Vec<String>>,
    }

    #[test]
    fn currencies_equal_those_of_the_dashboard() {
        let json = include_str!("../../../../tests/fixtures/currencies.json");
        let fixture: Fixture = serde_json::from_str(json).unwrap();
        assert_eq!(CODES, fixture.codes);
        let spellings: BTreeMap<&str, &[&str]> = SPELLINGS.iter().copied().collect();
        assert_eq!(spellings.len(), SPELLINGS.len());
        assert_eq!(serde_json::to_value(&spellings).unwrap(), serde_json::to_value(&fixture.spellings).unwrap());
    }

    #[test]
    fn codes_are_in_order() {
        assert!(CODES.is_sorted());
    }
}
