"""Pieces of header values that a hostile or broken server may send."""

PIECES = (
    *("http", "https", "x", "://", "//", ":", ":0", ":443", ":99999", "@", "[", "]", "[::1]"),
    *("/", "?", "#", "%", "%00", "%zz", "a", "h.example", "..", "xn--", "xn--a", "\\", "<", "{"),
    *("Wed, ", "21 Oct 2015", "99 Foo 99999", " 07:28:00", " GMT", " +9999", " -0000", "-24:60"),
    *("0", "9", "1e9", "-1", "9" * 400, "9" * 5_000, "NaN", "inf", ",", ";", "=", '"', "'"),
    *("\u0663", "\uff13", "\xe9", "\xff", "\x7f", "\x00", "\t", " ", "\ud800", "\U0001f50c"),
    *("invalid_token", "Bearer ", "error=", "gzip", "charset", "utf-8", "bytes"),
)
