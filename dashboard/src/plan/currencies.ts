/** Currency codes and spellings. The server has the same table. */

export const CODES: ReadonlySet<string> = new Set(
  `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP
  CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY
  KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK
  NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND
  TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG`.split(/\s+/),
)

const DOLLARS = `ARS AUD BBD BMD BND BSD BZD CAD CLP COP CUP DOP FJD GYD HKD JMD KYD LRD MXN NAD NZD SBD SGD SRD TTD TWD USD UYU XCD`

/** Lower-case symbols and abbreviations without a final point, with the codes that each can stand for. */
export const SPELLINGS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    $: DOLLARS,
    us$: "USD",
    a$: "AUD",
    au$: "AUD",
    c$: "CAD NIO",
    ca$: "CAD",
    s$: "SGD",
    sg$: "SGD",
    hk$: "HKD",
    nz$: "NZD",
    nt$: "TWD",
    mx$: "MXN",
    r$: "BRL",
    "₹": "INR",
    "₨": "INR LKR MUR NPR PKR SCR",
    rs: "INR LKR MUR NPR PKR SCR",
    "€": "EUR",
    "uk£": "GBP",
    "£": "EGP FKP GBP GIP SHP SSP SYP",
    "¥": "CNY JPY",
    "￥": "CNY JPY",
    "cn¥": "CNY",
    "jp¥": "JPY",
    rmb: "CNY",
    元: "CNY",
    円: "JPY",
    fr: "CHF",
    sfr: "CHF",
    kr: "DKK ISK NOK SEK",
    zł: "PLN",
    kč: "CZK",
    ft: "HUF",
    lei: "RON",
    "₽": "RUB",
    "₴": "UAH",
    "₺": "TRY",
    tl: "TRY",
    "₪": "ILS",
    dh: "AED MAD",
    dhs: "AED MAD",
    "د.إ": "AED",
    "ر.س": "SAR",
    "﷼": "IRR OMR QAR SAR YER",
    "৳": "BDT",
    "₩": "KPW KRW",
    "₫": "VND",
    "₱": "PHP",
    "฿": "THB",
    rm: "MYR",
    rp: "IDR",
    r: "ZAR",
    ksh: "KES",
    "₦": "NGN",
    "₵": "GHS",
    "gh₵": "GHS",
    "₸": "KZT",
    "₾": "GEL",
    "₼": "AZN",
    "₡": "CRC",
    "₲": "PYG",
    "₮": "MNT",
    "₭": "LAK",
    "៛": "KHR",
    "؋": "AFN",
    "֏": "AMD",
  }).map(([spelling, codes]) => [spelling, codes.split(" ")] as const),
)

/** The currency codes that a word can stand for; `null` if it is not a currency. */
export function codesOf(word: string): readonly string[] | null {
  const code = word.toUpperCase()
  return CODES.has(code) ? [code] : (SPELLINGS.get(word.toLowerCase()) ?? null)
}
