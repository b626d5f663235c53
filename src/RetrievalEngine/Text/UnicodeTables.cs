using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>
/// The Unicode tables behind normalisation and text cleaning, read once from <c>unicode.bin</c> (see <c>make_unicode_tables.py</c>: Unicode 9 for
/// normalisation, 8 for categories, as in the reference tokenizer library). .NET without ICU, which this program runs as, normalises nothing.
/// </summary>
internal static class UnicodeTables
{
    /// <summary>What a code point is, one bit each. The first four say that a text of such characters alone is already in that form.</summary>
    [Flags]
    internal enum Traits : byte
    {
        Nfc = 1,
        Nfd = 2,
        Nfkc = 4,
        Nfkd = 8,
        NonspacingMark = 16,
        Mark = 32,
        Punctuation = 64,

        /// <summary>Cc, Cf, Co or Cs.</summary>
        Control = 128,
    }

    private const Traits Stable = Traits.Nfc | Traits.Nfd | Traits.Nfkc | Traits.Nfkd;
    private const int HangulBase = 0xAC00, HangulCount = 11172, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TrailCount = 28;

    private static readonly Dictionary<int, byte> _classes = [];
    private static readonly Dictionary<int, int[]> _canonical = [];
    private static readonly Dictionary<int, int[]> _compatible = [];
    private static readonly Dictionary<(int First, int Second), int> _compositions = [];
    private static readonly (int First, int Last)[][] _ranges = new (int, int)[4][];
    private static readonly Traits[] _traits = new Traits[65536];

    static UnicodeTables()
    {
        using Stream? stream = typeof(UnicodeTables).Assembly.GetManifestResourceStream("unicode.bin");
        byte[] data = new byte[(stream ?? throw new InvalidOperationException("the resource unicode.bin is missing")).Length];
        stream.ReadExactly(data);
        int position = 0;
        int Next()
        {
            int value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte b = data[position++];
                value |= (b & 127) << shift;
                if (b < 128) return value;
            }
        }

        for (int group = 0; group < 4; group++)
        {
            var ranges = new (int First, int Last)[Next()];
            int last = 0;
            for (int i = 0; i < ranges.Length; i++)
            {
                int first = last + Next();
                last = first + Next();
                ranges[i] = (first, last);
                for (int c = first; c <= last && c < 65536; c++) _traits[c] |= (Traits)(16 << group);
            }

            _ranges[group] = ranges;
        }

        int end = 0;
        for (int n = Next(); n > 0; n--)
        {
            int first = end + Next();
            end = first + Next();
            byte combiningClass = (byte)Next();
            for (int c = first; c <= end; c++) _classes[c] = combiningClass;
        }

        HashSet<int> seconds = [];
        foreach (Dictionary<int, int[]> table in (Dictionary<int, int[]>[])[_canonical, _compatible])
        {
            int c = 0;
            for (int n = Next(); n > 0; n--)
            {
                c += Next();
                int header = Next();
                int[] mapping = new int[header >> 1];
                for (int i = 0; i < mapping.Length; i++) mapping[i] = Next();
                table[c] = mapping;
                if ((header & 1) == 0) continue;
                _compositions[(mapping[0], mapping[1])] = c;
                seconds.Add(mapping[1]);
            }
        }

        Expand(seconds);
    }

    /// <summary>Whether code point <paramref name="c"/> has <paramref name="trait"/> (a category bit).</summary>
    public static bool Is(int c, Traits trait)
    {
        if (c < 65536) return (_traits[c] & trait) != 0;
        for (int group = 0; group < 4; group++)
        {
            if ((trait & (Traits)(16 << group)) != 0 && InRanges(_ranges[group], c)) return true;
        }

        return false;
    }

    /// <summary>True where <paramref name="text"/> surely is in the form <paramref name="form"/> already; false where it must be computed.</summary>
    public static bool IsNormalized(ReadOnlySpan<char> text, Traits form)
    {
        if (Ascii.IsValid(text)) return true;
        foreach (char c in text)
        {
            if ((_traits[c] & form) == 0) return false;
        }

        return true;
    }

    /// <summary>Whether no form of normalisation changes <paramref name="c"/>, whatever stands before it.</summary>
    public static bool IsStable(char c) => (_traits[c] & Stable) == Stable;

    /// <summary>The canonical combining class.</summary>
    public static byte CombiningClass(int c) => c >= 0x300 && _classes.TryGetValue(c, out byte value) ? value : (byte)0;

    /// <summary>Appends the full decomposition of <paramref name="c"/>.</summary>
    public static void Decompose(int c, bool compatible, List<int> output)
    {
        if (c >= HangulBase && c < HangulBase + HangulCount)
        {
            int index = c - HangulBase;
            output.Add(LeadBase + (index / (VowelCount * TrailCount)));
            output.Add(VowelBase + (index % (VowelCount * TrailCount) / TrailCount));
            if (index % TrailCount > 0) output.Add(TrailBase + (index % TrailCount));
        }
        else if (c >= 0x80 && ((compatible && _compatible.TryGetValue(c, out int[]? mapping)) || _canonical.TryGetValue(c, out mapping)))
        {
            output.AddRange(mapping);
        }
        else
        {
            output.Add(c);
        }
    }

    /// <summary>The primary composite of two code points, or -1.</summary>
    public static int Compose(int first, int second)
    {
        if (first is >= LeadBase and < LeadBase + LeadCount && second is >= VowelBase and < VowelBase + VowelCount)
        {
            return HangulBase + ((((first - LeadBase) * VowelCount) + (second - VowelBase)) * TrailCount);
        }

        if (first is >= HangulBase and < HangulBase + HangulCount && second is > TrailBase and < TrailBase + TrailCount
            && (first - HangulBase) % TrailCount == 0)
        {
            return first + (second - TrailBase);
        }

        return _compositions.TryGetValue((first, second), out int composite) ? composite : -1;
    }

    /// <summary>Makes every mapping full and derives the four "already in that form" bits.</summary>
    private static void Expand(HashSet<int> seconds)
    {
        List<int> full = [];
        void Append(int c, bool compatible)
        {
            if ((compatible && _compatible.TryGetValue(c, out int[]? mapping)) || _canonical.TryGetValue(c, out mapping))
            {
                foreach (int m in mapping) Append(m, compatible);
            }
            else
            {
                full.Add(c);
            }
        }

        Dictionary<int, int[]> canonical = [], compatible = [];
        foreach (int c in _canonical.Keys)
        {
            full.Clear();
            Append(c, compatible: false);
            canonical[c] = full.ToArray();
        }

        foreach (Dictionary<int, int[]> table in (Dictionary<int, int[]>[])[_canonical, _compatible])
        {
            foreach (int c in table.Keys)
            {
                full.Clear();
                Append(c, compatible: true);
                compatible[c] = full.ToArray();
            }
        }

        HashSet<int> composites = [.. _compositions.Values];
        foreach ((int c, int[] mapping) in canonical) _canonical[c] = mapping;
        foreach ((int c, int[] mapping) in compatible) _compatible[c] = mapping;
        for (int c = 0; c < 65536; c++)
        {
            if (char.IsSurrogate((char)c)) continue;
            bool hangul = c is >= HangulBase and < HangulBase + HangulCount;
            bool starter = CombiningClass(c) == 0;
            bool joins = seconds.Contains(c) || c is >= VowelBase and < VowelBase + VowelCount or > TrailBase and < TrailBase + TrailCount;
            bool decomposes = hangul || _canonical.ContainsKey(c);
            bool compatiblyDecomposes = hangul || _compatible.ContainsKey(c);
            if (starter && !decomposes) _traits[c] |= Traits.Nfd;
            if (starter && !compatiblyDecomposes) _traits[c] |= Traits.Nfkd;
            bool composed = starter && !joins && (!decomposes || hangul || composites.Contains(c));
            if (composed) _traits[c] |= Traits.Nfc;

            // A composite whose parts are plain characters stays; one with a compatibility part does not.
            if (composed && (!compatiblyDecomposes || hangul || (decomposes && SameMapping(c)))) _traits[c] |= Traits.Nfkc;
        }
    }

    private static bool SameMapping(int c) => _canonical[c].AsSpan().SequenceEqual(_compatible[c]);

    private static bool InRanges((int First, int Last)[] ranges, int c)
    {
        int low = 0, high = ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >> 1;
            if (c < ranges[middle].First) high = middle - 1;
            else if (c > ranges[middle].Last) low = middle + 1;
            else return true;
        }

        return false;
    }
}
