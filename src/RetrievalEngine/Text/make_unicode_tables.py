"""Writes unicode.bin, the Unicode tables that tokenization needs and .NET's invariant mode lacks.

Usage: python3 make_unicode_tables.py [/usr/share/unicode] (Debian package unicode-data) > unicode.bin

Normalisation and marks are those of Unicode 9, punctuation, nonspacing marks and control characters those of Unicode 8: what the reference
tokenizer library is built with. Published vocabularies were made with these tables, so newer ones would give other ids. The overrides are
characters whose category changed since. Layout: LEB128 numbers; see UnicodeTables.cs.
"""
import sys

ucd = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"


def lines(name):
    for line in open(f"{ucd}/{name}", encoding="utf-8"):
        line = line.split("#")[0].strip()
        if line: yield [x.strip() for x in line.split(";")]


def span(text):
    a, _, b = text.partition("..")
    return range(int(a, 16), int(b or a, 16) + 1)


age = {}
for fields in lines("DerivedAge.txt"):
    for c in span(fields[0]): age[c] = float(fields[1])
excluded = {c for f in lines("DerivedNormalizationProps.txt") if f[1] == "Full_Composition_Exclusion" for c in span(f[0])}
category, ccc, canonical, compatible, first = {}, {}, {}, {}, None
for line in open(f"{ucd}/UnicodeData.txt", encoding="utf-8"):
    f = line.split(";"); c = int(f[0], 16)
    if f[1].endswith("First>"): first = c; continue
    for x in range(first if first is not None else c, c + 1): category[x] = f[2]
    first = None
    if age[c] > 9: continue
    if f[3] != "0": ccc[c] = int(f[3])
    if f[5]:
        mapping = f[5].split()
        tagged = mapping[0].startswith("<")
        (compatible if tagged else canonical)[c] = [int(x, 16) for x in mapping[tagged:]]


def having(prefixes, version, add=(), remove=()):
    found = {c for c, k in category.items() if k.startswith(prefixes) and age.get(c, 99) <= version}
    return sorted((found | set(add)) - set(remove))


nonspacing = having(("Mn",), 8, add=(0x1734, 0x1171E), remove=(0x1885, 0x1886, 0xA9BD, 0x111C9))
marks = having(("M",), 9, add=(0x1CF2, 0x1CF3), remove=(0x111C9,))
punctuation = having(("P",), 8, add=(0x166D, 0x111C9))
control = having(("Cc", "Cf", "Co", "Cs"), 8)

out = bytearray()


def number(n):
    while n >= 128:
        out.append(n & 127 | 128); n >>= 7
    out.append(n)


def ranges(values):
    """values: sorted (code point, tag); consecutive code points with one tag become one range"""
    result = []
    for c, tag in values:
        if result and result[-1][1] == c - 1 and result[-1][2] == tag: result[-1][1] = c
        else: result.append([c, c, tag])
    return result


def write_ranges(values, tagged):
    found = ranges(values); number(len(found)); last = 0
    for a, b, tag in found:
        number(a - last); number(b - a); last = b
        if tagged: number(tag)


for group in (nonspacing, marks, punctuation, control): write_ranges([(c, 0) for c in group], False)
write_ranges(sorted(ccc.items()), True)
for table in (canonical, compatible):
    number(len(table)); last = 0
    for c in sorted(table):
        number(c - last); last = c
        number(len(table[c]) * 2 + (table is canonical and c not in excluded))
        for x in table[c]: number(x)
sys.stdout.buffer.write(out)
