using System;
using System.Collections.Generic;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>Rewrites text before it is split; each code point of the result remembers which original text it stands for.</summary>
internal abstract class Normalizer
{
    /// <summary>
    /// Whether normalising a text is the same as normalising apart what stands before and behind a place where a space follows a letter, so that
    /// a long text can be read in stretches.
    /// </summary>
    public virtual bool IsLocal => false;

    /// <summary>Rewrites <paramref name="text"/> in place.</summary>
    public abstract void Apply(NormalizedText text);

    /// <summary>Keeps the code points that <paramref name="keep"/> accepts.</summary>
    protected static void Filter(NormalizedText text, Func<int, bool> keep)
    {
        ReadOnlySpan<char> source = text.Text;
        text.BeginEdit();
        for (int i = 0, units; i < source.Length; i += units)
        {
            int c = NormalizedText.CodePointAt(source, i, out units);
            if (keep(c)) text.Append(c, i);
        }

        text.EndEdit();
    }
}

/// <summary>Several normalisers, one after another.</summary>
internal sealed class SequenceNormalizer(Normalizer[] normalizers) : Normalizer
{
    public override bool IsLocal => Array.TrueForAll(normalizers, n => n.IsLocal);

    public override void Apply(NormalizedText text)
    {
        foreach (Normalizer normalizer in normalizers) normalizer.Apply(text);
    }
}

/// <summary>NFC, NFD, NFKC and NFKD (Unicode Standard Annex #15).</summary>
internal sealed class UnicodeFormNormalizer(UnicodeTables.Traits form) : Normalizer
{
    public override bool IsLocal => true;

    public override void Apply(NormalizedText text) => Apply(text, form);

    public static void Apply(NormalizedText text, UnicodeTables.Traits form)
    {
        if (UnicodeTables.IsNormalized(text.Text, form)) return;
        List<(int CodePoint, int Change)> result = Decompose(text.Text, form is UnicodeTables.Traits.Nfkc or UnicodeTables.Traits.Nfkd);
        text.Transform(form is UnicodeTables.Traits.Nfc or UnicodeTables.Traits.Nfkc ? Compose(result) : result);
    }

    private static List<(int CodePoint, int Change)> Decompose(ReadOnlySpan<char> text, bool compatible)
    {
        List<(int CodePoint, int Change)> result = new(text.Length);
        List<int> parts = [];
        List<(byte Class, int CodePoint, int Change)> pending = [];
        for (int i = 0, units; i < text.Length; i += units)
        {
            int c = NormalizedText.CodePointAt(text, i, out units);
            parts.Clear();
            UnicodeTables.Decompose(c, compatible, parts);
            for (int part = 0; part < parts.Count; part++)
            {
                byte combiningClass = UnicodeTables.CombiningClass(parts[part]);
                if (combiningClass == 0)
                {
                    Flush(pending, result);
                    result.Add((parts[part], part > 0 ? 1 : 0));
                }
                else
                {
                    // Insertion keeps equal classes in text order.
                    int at = pending.Count;
                    while (at > 0 && pending[at - 1].Class > combiningClass) at--;
                    pending.Insert(at, (combiningClass, parts[part], part > 0 ? 1 : 0));
                }
            }
        }

        Flush(pending, result);
        return result;
    }

    private static void Flush(List<(byte Class, int CodePoint, int Change)> pending, List<(int CodePoint, int Change)> result)
    {
        foreach ((_, int codePoint, int change) in pending) result.Add((codePoint, change));
        pending.Clear();
    }

    private static List<(int CodePoint, int Change)> Compose(List<(int CodePoint, int Change)> decomposed)
    {
        List<(int CodePoint, int Change)> result = new(decomposed.Count);
        int starter = -1;
        byte lastClass = 0;
        foreach ((int codePoint, int change) in decomposed)
        {
            byte combiningClass = UnicodeTables.CombiningClass(codePoint);
            bool blocked = lastClass != 0 && lastClass >= combiningClass;
            int composite = starter < 0 || blocked ? -1 : UnicodeTables.Compose(result[starter].CodePoint, codePoint);
            if (composite >= 0)
            {
                result[starter] = (composite, result[starter].Change + change - 1);
                continue;
            }

            result.Add((codePoint, change));
            if (combiningClass == 0) starter = result.Count - 1;
            lastClass = starter < 0 ? (byte)0 : combiningClass;
        }

        return result;
    }
}

/// <summary>Lower-cases each code point by itself (no context: a final sigma stays σ), as Rust's <c>char::to_lowercase</c>.</summary>
internal sealed class LowercaseNormalizer : Normalizer
{
    public override bool IsLocal => true;

    public override void Apply(NormalizedText text) => Lower(text);

    public static void Lower(NormalizedText text)
    {
        ReadOnlySpan<char> source = text.Text;
        text.BeginEdit();
        for (int i = 0, units; i < source.Length; i += units)
        {
            int c = NormalizedText.CodePointAt(source, i, out units);
            if (c == 0x130)
            {
                // İ is the one character whose lower case is two.
                text.Append('i', i);
                text.Append(0x307, i);
            }
            else
            {
                text.Append(Rune.ToLowerInvariant(new Rune(c)).Value, i);
            }
        }

        text.EndEdit();
    }
}

/// <summary>Drops combining marks; usually stands behind NFD or NFKD.</summary>
internal sealed class StripAccentsNormalizer : Normalizer
{
    public override bool IsLocal => true;

    public override void Apply(NormalizedText text) => Filter(text, static c => !UnicodeTables.Is(c, UnicodeTables.Traits.Mark));
}

/// <summary>Drops white space at the ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : Normalizer
{
    // A stretch that is not the last ends with a letter.
    public override bool IsLocal => !left;

    public override void Apply(NormalizedText text)
    {
        ReadOnlySpan<char> source = text.Text;
        int start = 0, end = source.Length;
        while (left && start < end && char.IsWhiteSpace(source[start])) start++;
        while (right && start < end && char.IsWhiteSpace(source[end - 1])) end--;
        text.BeginEdit();
        text.AppendUnchanged(start, end);
        text.EndEdit();
    }
}

/// <summary>Puts a string in front of a text that is not empty; it stands for the text's first code point.</summary>
internal sealed class PrependNormalizer(string prefix) : Normalizer
{
    public override void Apply(NormalizedText text) => Prepend(text, prefix);

    public static void Prepend(NormalizedText text, string prefix)
    {
        int length = text.Text.Length;
        if (length == 0) return;
        text.BeginEdit();
        foreach (Rune rune in prefix.EnumerateRunes()) text.Append(rune.Value, 0);
        text.AppendUnchanged(0, length);
        text.EndEdit();
    }
}

/// <summary>Replaces each match of a pattern; what replaces it stands for the match's last code point.</summary>
internal sealed class ReplaceNormalizer(SplitPattern pattern, string content) : Normalizer
{
    public override bool IsLocal => pattern is SpaceRunPattern;

    public override void Apply(NormalizedText text)
    {
        List<SplitMatch> matches = [];
        pattern.Find(text.Text, matches);
        text.BeginEdit();
        foreach (SplitMatch match in matches)
        {
            if (!match.IsMatch)
            {
                text.AppendUnchanged(match.Start, match.End);
                continue;
            }

            foreach (Rune rune in content.EnumerateRunes()) text.Append(rune.Value, match.End - 1);
        }

        text.EndEdit();
    }
}

/// <summary>Writes each byte of UTF-8 as its character of the byte alphabet.</summary>
internal sealed class ByteLevelNormalizer : Normalizer
{
    public override void Apply(NormalizedText text)
    {
        ReadOnlySpan<char> source = text.Text;
        List<(int CodePoint, int Change)> result = new(source.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0, units; i < source.Length; i += units)
        {
            int length = new Rune(NormalizedText.CodePointAt(source, i, out units)).EncodeToUtf8(utf8);
            for (int b = 0; b < length; b++) result.Add((ByteAlphabet.Characters[utf8[b]], b > 0 ? 1 : 0));
        }

        if (result.Count > 0) text.Transform(result);
    }
}

/// <summary>SentencePiece's <c>nmt</c> rules: control characters out, other white space and marks of no width to spaces.</summary>
internal sealed class NmtNormalizer : Normalizer
{
    public override bool IsLocal => true;

    public override void Apply(NormalizedText text)
    {
        Filter(text, static c => c is not ((>= 0x1 and <= 0x8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F));
        ReadOnlySpan<char> source = text.Text;
        text.BeginEdit();
        for (int i = 0, units; i < source.Length; i += units)
        {
            int c = NormalizedText.CodePointAt(source, i, out units);
            bool space = c is '\t' or '\n' or '\f' or '\r' or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD;
            text.Append(space ? ' ' : c, i);
        }

        text.EndEdit();
    }
}

/// <summary>BERT's cleaning: control characters out, CJK ideographs set apart, accents stripped, lower case.</summary>
internal sealed class BertNormalizer(bool cleanText, bool handleChineseChars, bool stripAccents, bool lowercase) : Normalizer
{
    public override bool IsLocal => true;

    public override void Apply(NormalizedText text)
    {
        if (cleanText || handleChineseChars) Clean(text);
        if (stripAccents)
        {
            UnicodeFormNormalizer.Apply(text, UnicodeTables.Traits.Nfd);
            if (!Ascii.IsValid(text.Text)) Filter(text, static c => !UnicodeTables.Is(c, UnicodeTables.Traits.NonspacingMark));
        }

        if (lowercase) LowercaseNormalizer.Lower(text);
    }

    private void Clean(NormalizedText text)
    {
        ReadOnlySpan<char> source = text.Text;
        text.BeginEdit();
        for (int i = 0, units; i < source.Length; i += units)
        {
            int c = NormalizedText.CodePointAt(source, i, out units);
            if (cleanText && c is not ('\t' or '\n' or '\r') && (c == 0xFFFD || UnicodeTables.Is(c, UnicodeTables.Traits.Control))) continue;
            if (handleChineseChars && IsChinese(c))
            {
                text.Append(' ', i);
                text.Append(c, i);
                text.Append(' ', i);
            }
            else
            {
                text.Append(cleanText && c < 65536 && char.IsWhiteSpace((char)c) ? ' ' : c, i);
            }
        }

        text.EndEdit();
    }

    private static bool IsChinese(int c) => c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF)
        or (>= 0x2F800 and <= 0x2FA1F);
}
