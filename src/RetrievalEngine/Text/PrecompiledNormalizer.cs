using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>
/// SentencePiece's character map as it is stored in its models: a double-array trie over UTF-8 whose values point into a block of zero-terminated
/// replacements. As in the
/// reference library, each grapheme of less than six bytes is looked up as a whole first, then its code points, and of several keys that begin it the
/// shortest counts.
/// </summary>
internal sealed class PrecompiledNormalizer : Normalizer
{
    private const int LongestGrapheme = 5, MaxTrieUnits = 1 << 26;
    private readonly uint[] _trie;
    private readonly byte[] _replacements;

    // What becomes of each code point of the basic plane by itself; null: it stays.
    private readonly string?[] _characters = new string?[65536];

    private PrecompiledNormalizer(uint[] trie, byte[] replacements)
    {
        _trie = trie;
        _replacements = replacements;
        Span<byte> utf8 = stackalloc byte[4];
        for (int c = 0; c < _characters.Length; c++)
        {
            if (Rune.IsValid(c)) _characters[c] = Find(utf8[..new Rune(c).EncodeToUtf8(utf8)]);
            bool visible = c == ' ' || char.IsLetterOrDigit((char)c) || c is > ' ' and < 0x7F;
            if (visible && _characters[c] is { } s && (c == ' ' || s.Length == 0 || char.IsWhiteSpace(s[^1]))) IsLocal = false;
        }
    }

    /// <summary>True unless the map takes spaces away or makes new ones of letters.</summary>
    public override bool IsLocal { get; } = true;

    /// <summary>Reads a map: the length of the trie in bytes (little endian), the trie, the replacements. Null where it is damaged.</summary>
    public static PrecompiledNormalizer? TryCreate(ReadOnlySpan<byte> map)
    {
        if (map.Length < sizeof(uint)) return null;
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(map);
        map = map[sizeof(uint)..];
        if (length == 0 || length % sizeof(uint) != 0 || length > map.Length || length / sizeof(uint) > MaxTrieUnits) return null;
        uint[] trie = new uint[length / sizeof(uint)];
        for (int i = 0; i < trie.Length; i++) trie[i] = BinaryPrimitives.ReadUInt32LittleEndian(map[(i * sizeof(uint))..]);
        byte[] replacements = map[(int)length..].ToArray();
        return System.Text.Unicode.Utf8.IsValid(replacements) ? new(trie, replacements) : null;
    }

    public override void Apply(NormalizedText text)
    {
        ReadOnlySpan<char> source = text.Text;
        List<(int CodePoint, int Change)> result = new(source.Length);
        bool modified = false;
        Span<byte> utf8 = stackalloc byte[LongestGrapheme];
        for (int i = 0, length; i < source.Length; i += length)
        {
            length = GraphemeLength(source[i..]);
            ReadOnlySpan<char> grapheme = source.Slice(i, length);
            if (length > 1 && System.Text.Encoding.UTF8.TryGetBytes(grapheme, utf8, out int bytes) && Find(utf8[..bytes]) is { } whole)
            {
                Replace(result, CodePoints(grapheme), whole);
                modified = true;
                continue;
            }

            for (int j = 0, units; j < length; j += units)
            {
                int c = NormalizedText.CodePointAt(grapheme, j, out units);
                string? replacement = c < _characters.Length ? _characters[c] : Find(utf8[..new Rune(c).EncodeToUtf8(utf8)]);
                modified |= replacement is not null;
                if (replacement is null) result.Add((c, 0));
                else Replace(result, 1, replacement);
            }
        }

        if (modified) text.Transform(result);
    }

    private static int GraphemeLength(ReadOnlySpan<char> text)
    {
        // Nothing below U+0300 joins what stands before it but the line feed of CR LF.
        if (text.Length == 1 || (text[0] < '\u0300' && text[1] < '\u0300' && text[0] != '\r')) return 1;
        return StringInfo.GetNextTextElementLength(text);
    }

    /// <summary>Appends a replacement for <paramref name="replaced"/> code points: what is more is inserted behind, what is less is swallowed.</summary>
    private static void Replace(List<(int CodePoint, int Change)> result, int replaced, string replacement)
    {
        int added = CodePoints(replacement) - replaced, index = 0, count = replaced + added;
        foreach (Rune rune in replacement.EnumerateRunes()) result.Add((rune.Value, index++ >= count - added ? 1 : 0));
        if (added < 0 && result.Count > 0) result[^1] = (result[^1].CodePoint, result[^1].Change + added);
    }

    private static int CodePoints(ReadOnlySpan<char> text)
    {
        int count = 0;
        for (int i = 0, units; i < text.Length; i += units, count++) NormalizedText.CodePointAt(text, i, out units);
        return count;
    }

    /// <summary>The replacement of the shortest key that <paramref name="text"/> begins with, or null.</summary>
    private string? Find(ReadOnlySpan<byte> text)
    {
        uint position = Offset(_trie[0]);
        foreach (byte b in text)
        {
            if (b == 0) return null;
            position ^= b;
            if (position >= _trie.Length || (_trie[position] & 0x800000FF) != b) return null;
            bool hasValue = ((_trie[position] >> 8) & 1) == 1;
            position ^= Offset(_trie[position]);
            if (!hasValue) continue;
            if (position >= _trie.Length) return null;
            int value = (int)(_trie[position] & 0x7FFFFFFF);
            if (value > _replacements.Length) return null;
            ReadOnlySpan<byte> rest = _replacements.AsSpan(value);
            int end = rest.IndexOf((byte)0);
            return System.Text.Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
        }

        return null;
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & (1 << 9)) >> 6);
}
